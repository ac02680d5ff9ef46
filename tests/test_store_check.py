"""fsck: faults are reported, and a check continues where it was interrupted."""

from pathlib import Path

import pytest
from old_images import image, interrupting, name_of, old_store, ref_to, rollouts
from plain_store import PlainStore
from samples import PNG

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore, StoredObject
from mmraw_protocol.stores.maintenance import check, copy_store
from mmraw_protocol.stores.maintenance.objects import StateFile, Stored


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return old_store(tmp_path / "images")


def test_a_whole_store_is_well(store: LocalStore, tmp_path: Path) -> None:
    assert check(store).ok
    report = check(store, [rollouts(tmp_path, *map(ref_to, map(image, range(4))))])
    assert report.ok
    assert (report.objects, report.refs, report.mentions, report.orphaned) == (4, 4, 4, [])
    assert report.bytes == 4 * len(image(0))


def test_what_is_wrong_is_named(store: LocalStore, tmp_path: Path) -> None:
    (store.root / name_of(image(0))).write_bytes(b"damaged")
    (store.root / f"{'0' * 64}.png").write_bytes(b"")
    store.put_named("photo.png", image(7))
    (store.root / "a name with spaces.png").write_bytes(b"x")
    file = rollouts(
        tmp_path,
        ref_to(image(1)),
        {"x": 1},
        [ref_to(image(50)), ref_to(image(50), "v2"), ref_to(image(8), name="photo.png")],
        {"image": store.url(name_of(image(51)))},
        {"raw_image_id": "gone.png"},
        ref_to(image(52), run_id="another"),
    )
    report = check(LocalStore(store.root, run_id="exp42"), [file])
    assert not report.ok
    assert [(one.raw_image_id, one.code) for one in report.corrupt] == sorted(
        [(name_of(image(0)), "object_corrupt"), (f"{'0' * 64}.png", "object_corrupt")]
    )
    assert [(one.raw_image_id, one.line) for one in report.missing] == [
        (name_of(image(50)), 3),
        (name_of(image(51)), 4),
        ("gone.png", 5),
    ]
    assert [(one.raw_image_id, one.line) for one in report.mismatched] == [("photo.png", 3)]
    assert [one.raw_image_id for one in report.foreign] == ["a name with spaces.png"]
    assert (report.other_runs, report.unpromised) == (1, 1)
    assert {one.raw_image_id for one in report.orphaned} == {
        name_of(image(0)),
        name_of(image(2)),
        name_of(image(3)),
        f"{'0' * 64}.png",
    }


def test_an_object_without_permission_is_no_end(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = LocalStore.get

    def refuse(self: LocalStore, name: str, *, run_id: str | None = None) -> bytes:
        if name == name_of(image(0)):
            raise MMRawError("store_permission", "no")
        return get(self, name, run_id=run_id)

    monkeypatch.setattr(LocalStore, "get", refuse)
    state = tmp_path / "state"
    report = check(store, state=state)
    assert [one.code for one in report.corrupt] == ["store_permission"]


def test_runs_without_images_are_empty(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, run_ids=["a", "b"], durable=False)
    store.put(PNG, run_id="b")
    report = check(store, [rollouts(tmp_path, ref_to(PNG, run_id="a"), ref_to(PNG, run_id="b"))])
    assert report.objects == 1
    assert [(one.raw_image_id, one.run_id) for one in report.missing] == [(name_of(PNG), "a")]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MMRawError("store_unavailable", "the server went away")]
)
def test_an_interrupted_check_goes_on_where_it_was(error: BaseException, tmp_path: Path) -> None:
    store, state = interrupting(100), tmp_path / "state"
    store.after, store.error = 40, error
    with pytest.raises(type(error)):
        check(store, workers=4, state=state)
    # The last line may be cut off, as by a kill in the middle of a write.
    text = state.read_text()
    state.write_text(text[:-20])
    store.reads, store.after = 0, 10**9
    report = check(store, workers=4, state=state)
    assert (report.ok, report.objects) == (True, 100)
    # Some of what was read may not yet have been written down, one line was cut off.
    assert 20 <= report.resumed <= 40
    assert store.reads == 100 - report.resumed
    assert not state.exists()


def test_a_line_that_was_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    store, path = PlainStore({}, "x"), tmp_path / "state"
    first, second = (Stored(None, StoredObject(name_of(image(n)), 1, 1.0)) for n in range(2))
    with StateFile(path, "fsck", store) as state:
        state.record(first, "done")
    path.write_text(path.read_text()[:-5])
    with StateFile(path, "fsck", store) as state:
        assert state.known(first) is None
        state.record(second, "done")
    with StateFile(path, "fsck", store) as state:
        assert state.known(second) == "done"


def test_an_object_that_changed_since_is_read_again(tmp_path: Path) -> None:
    store, state = interrupting(10), tmp_path / "state"
    store.after = 8
    with pytest.raises(KeyboardInterrupt):
        check(store, workers=1, state=state)
    for name in list(store.list()):
        store.objects["x", name] = b"damaged"
    store.reads, store.after = 0, 10**9
    assert len(check(store, state=state).corrupt) == 10


def test_a_state_file_of_other_work_is_refused(store: LocalStore, tmp_path: Path) -> None:
    state = tmp_path / "state"
    interrupted = interrupting(3)
    interrupted.after = 1
    with pytest.raises(KeyboardInterrupt):
        check(interrupted, workers=1, state=state)
    for work in (
        lambda: check(store, state=state),
        lambda: copy_store(interrupted, store, state=state),
    ):
        with pytest.raises(MMRawError, match="store_invalid"):
            work()
    with pytest.raises(MMRawError, match="store_permission"):
        check(store, state=tmp_path / "no" / "such" / "folder")
