"""fsck, gc and sync: what is wrong is told, what is referred to stays, what was done is kept."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_store import PlainStore
from samples import PNG

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.conversation.messages import offload_messages, pack_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import AssetStore, LocalStore, StoredObject, open_store
from mmraw_protocol.stores.maintenance import check, collect, copy_store, read_references
from mmraw_protocol.stores.maintenance.fsck import ObjectName
from mmraw_protocol.stores.maintenance.objects import StateFile, Stored
from mmraw_protocol.wire.base64 import encode_base64
from mmraw_protocol.wire.hashes import sha256_hex

DIALECTS = ("v1", "v2", "v3", "v3-runless", "unversioned-uri")


def image(number: int) -> bytes:
    """Another image for each number (its end is not looked at by what is tested here)."""
    return PNG + bytes([number])


def name_of(data: bytes) -> str:
    return f"{sha256_hex(data)}.png"


def ref_to(data: bytes, dialect: str = "v3", run_id: str = "exp42", name: str | None = None) -> str:
    """A ref of a dialect to a stored image."""
    name = name or name_of(data)
    is_url = dialect == "unversioned-uri"
    source = {"raw_image_uri": f"file:///data/{name}"} if is_url else {"raw_image_id": name}
    run = {"run_id": run_id} if dialect in ("v1", "v2", "v3") else {}
    return samples.ref(dialect, mm_hash=sha256_hex(data)[:32], **source, **run)


def age(path: Path, seconds: float = 30 * 86400.0) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store with four old images."""
    store = LocalStore(tmp_path / "images", durable=False)
    for number in range(4):
        store.put(image(number))
        age(store.root / name_of(image(number)))
    return store


def rollouts(folder: Path, *rows: Any, name: str = "rollouts.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# ----- what a file refers to


@pytest.mark.parametrize("dialect", DIALECTS)
def test_refs_of_every_dialect_are_found(dialect: str, store: LocalStore, tmp_path: Path) -> None:
    file = rollouts(tmp_path, {"deep": [{"a": ref_to(image(0), dialect)}]})
    found = read_references([file], store, [name_of(image(0))])
    assert found.problems == []
    assert found.names == {name_of(image(0))}
    assert [mention.raw_image_id for mention in found.mentions] == [name_of(image(0))]
    assert list(found.mentions.values()) == [(str(file), 1)]


NAME = name_of(image(0))
WAYS: dict[str, Callable[[LocalStore], Any]] = {
    "a ref in a list": lambda store: [[ref_to(image(0))]],
    "a ref in a sentence": lambda store: {"text": f"see {ref_to(image(0))}, please"},
    "a ref in JSON within JSON": lambda store: json.dumps({"refs": [ref_to(image(0))]}),
    "an envelope": lambda store: {"kind": "prime_raw_mm_item", "raw_image_id": NAME},
    "the URL of the store": lambda store: {"image_url": {"url": store.url(NAME)}},
    "a URL elsewhere": lambda store: {"image": f"s3://bucket/run_x/assets/images/{NAME}"},
    "a URL with a query": lambda store: f"https://host/{NAME}?signature=1",
    "a URL in percent": lambda store: quote(store.url(NAME), safe=":/").replace(".png", "%2Epng"),
    "a path": lambda store: {"path": f"outputs/run_exp42/assets/images/{NAME}"},
    "a bare name": lambda store: {"images": [NAME]},
    "a key": lambda store: {"sizes": {NAME: 3}},
    "a key of a key": lambda store: {f"{'x' * 300}/{NAME}": {"a": 1}},
    "Markdown": lambda store: f"![the screen]({store.url(NAME)}).",
    "messages in JSON within JSON": lambda store: json.dumps(
        json.dumps([{"image": store.url(NAME)}])
    ),
    "the end of a sentence": lambda store: f"It is {NAME}.",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_refer_keeps_an_object(way: str, store: LocalStore, tmp_path: Path) -> None:
    file = rollouts(tmp_path, {"row": WAYS[way](store)})
    report = collect(store, [file], delete=True)
    assert report.removed == 3
    assert list(store.list()) == [NAME]


def test_odd_spellings_of_json_keep_an_object(store: LocalStore, tmp_path: Path) -> None:
    odd = "".join(f"\\u{ord(char):04X}" for char in store.url(NAME))
    (tmp_path / "odd.json").write_text(f'\n{{ "\\u0069mage" :\t"{odd}" }}')
    slashes = store.url(name_of(image(1))).replace("/", "\\/")
    (tmp_path / "slashes.json").write_text(f'["{slashes}"]')
    (tmp_path / "refs.txt").write_text(f"{ref_to(image(2))}\n")
    files = [tmp_path / name for name in ("odd.json", "slashes.json", "refs.txt")]
    assert collect(store, files, delete=True).removed == 1
    assert not store.has(name_of(image(3)))


def test_names_of_older_writers_are_kept(store: LocalStore, tmp_path: Path) -> None:
    old = f"{sha256_hex(image(9))[:16]}.png"
    for name in (old, "photo-1.png"):
        store.put_named(name, image(9))
        age(store.root / name)
    file = rollouts(tmp_path, ref_to(image(9), "v2", name=old), {"raw_image_id": "photo-1.png"})
    collect(store, [file], delete=True)
    assert list(store.list()) == sorted([old, "photo-1.png"])


def test_what_the_library_writes_is_kept(store: LocalStore, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "image": PNG}]}]
    small = offload_messages(messages, store)
    (packed,) = pack_images(messages, get_adapter("qwen_vl"), store=store)
    age(store.root / name_of(PNG))
    for row in (small, packed.item.to_dict()):
        report = collect(store, [rollouts(tmp_path, row)])
        assert ObjectName(name_of(PNG)) not in report.removable
        assert len(report.removable) == 4


def test_large_lines_and_inline_images_pass(store: LocalStore, tmp_path: Path) -> None:
    inline = f"data:image/png;base64,{encode_base64(os.urandom(3_000_000))}"
    row = {"messages": [{"image": inline}] * 3, "ref": ref_to(image(0)), "text": "word " * 500_000}
    report = collect(store, [rollouts(tmp_path, row)], delete=True)
    assert (report.ok, report.removed) == (True, 3)


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=50)
def test_a_url_in_any_text_keeps_its_object(before: str, after: str) -> None:
    import tempfile

    boundary = not (before[-1:].isascii() and (before[-1:].isalnum() or before[-1:] in "_.-"))
    boundary &= not (after[:1].isascii() and (after[:1].isalnum() or after[:1] in "_.-"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        store = LocalStore(path / "images", durable=False)
        store.put(PNG)
        age(store.root / name_of(PNG))
        text = f"{before}{name_of(PNG)}{after}"
        try:
            file = rollouts(path, {"text": text})
            report = collect(store, [file], delete=True)
        except UnicodeEncodeError:
            return
        assert not boundary or store.has(name_of(PNG)) or not report.ok


# ----- gc


def test_nothing_is_removed_unless_asked(store: LocalStore, tmp_path: Path) -> None:
    file = rollouts(tmp_path, ref_to(image(0)))
    report = collect(store, [file])
    assert [name.raw_image_id for name in report.removable] == sorted(
        name_of(image(number)) for number in (1, 2, 3)
    )
    assert (report.deleted, report.removed, report.referred) == (False, 0, 1)
    assert len(list(store.list())) == 4


def test_young_objects_stay(store: LocalStore, tmp_path: Path) -> None:
    store.put(image(1))
    age(store.root / name_of(image(2)), 3600)
    report = collect(store, [rollouts(tmp_path, ref_to(image(0)))], delete=True, older_than=7200)
    assert (report.young, report.removed) == (2, 1)
    assert not store.has(name_of(image(3)))


def test_an_object_put_while_collecting_stays(store: LocalStore, tmp_path: Path) -> None:
    class PutsFirst(LocalStore):
        def delete_older(
            self, raw_image_id: str, *, older_than: float, run_id: str | None = None
        ) -> bool:
            if raw_image_id == name_of(image(1)):
                store.put(image(1))
            return super().delete_older(raw_image_id, older_than=older_than, run_id=run_id)

    file = rollouts(tmp_path, ref_to(image(0)))
    report = collect(PutsFirst(store.root), [file], delete=True)
    assert (report.removed, report.renewed) == (2, 1)
    assert store.get(name_of(image(1))) == image(1)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1',
        '{"a": 1}\n{"b": ',
        '["x"] trailing',
        "not JSON",
        '{"ref": "mmraw:v4:what a later version may say"}',
        '{"ref": "mmraw:v3:AAAA"}',
        '"\\ud800"x',
        "[" * 400,
    ],
)
def test_a_file_that_cannot_be_read_whole_stops_everything(
    text: str, store: LocalStore, tmp_path: Path
) -> None:
    good = rollouts(tmp_path, ref_to(image(0)))
    bad = tmp_path / "bad.jsonl"
    bad.write_text(text)
    report = collect(store, [good, bad], delete=True)
    assert not report.ok
    assert (report.deleted, report.removed) == (False, 0)
    assert report.problems[0].file == str(bad)
    assert len(list(store.list())) == 4


def test_files_that_are_no_files_stop_everything(store: LocalStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    for name in ("missing.jsonl", "fifo", "images", "latin.json"):
        report = collect(store, [tmp_path / name], delete=True)
        assert (report.ok, report.removed) == (False, 0)
    with pytest.raises(MMRawError, match="missing_field"):
        collect(store, [], delete=True)


def test_a_file_that_grows_while_it_is_read_stops_everything(
    store: LocalStore, tmp_path: Path
) -> None:
    file = rollouts(tmp_path, ref_to(image(0)))

    def grow(count: int) -> None:
        with file.open("a") as more:
            more.write("\n")

    found = read_references([file], store, progress=grow)
    assert [problem.code for problem in found.problems] == ["source_unavailable"]


def test_a_store_without_ages_keeps_everything(tmp_path: Path) -> None:
    store = PlainStore({}, "x")
    store.put(PNG)
    report = collect(store, [rollouts(tmp_path, "nothing")], delete=True)
    assert (report.ageless, report.removed) == (1, 0)


def test_several_runs_are_collected_together(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root", run_ids=["a", "b", "never"], durable=False)
    for run in ("a", "b"):
        for number in range(2):
            store.put(image(number), run_id=run)
            age(tmp_path / f"root/run_{run}/assets/images/{name_of(image(number))}")
    # A ref of one run keeps the image in every run: more stays than must, and never less.
    report = collect(store, [rollouts(tmp_path, ref_to(image(0), run_id="a"))], delete=True)
    assert report.removable == [
        ObjectName(name_of(image(1)), "a"),
        ObjectName(name_of(image(1)), "b"),
    ]
    assert report.removed == 2


# ----- fsck


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


class Interrupts(PlainStore):
    """Ends the process's work after so many reads, as Ctrl-C or a lost connection would."""

    reads = 0
    after = 10**9
    error: BaseException = KeyboardInterrupt()

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        self.reads += 1
        if self.reads > self.after:
            raise self.error
        return super().get(raw_image_id, run_id=run_id)

    def entries(self, *, run_id: str | None = None) -> Iterator[StoredObject]:
        for name in self.list(run_id=run_id):
            yield StoredObject(name, len(self.objects[self.place, name]), 1e9)


def interrupting(count: int) -> Interrupts:
    store = Interrupts({}, "x")
    for number in range(count):
        store.put(image(number))
    return store


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


# ----- sync


def other_store(kind: str, folder: Path) -> AssetStore:
    return open_store("memory://") if kind == "memory" else LocalStore(folder, durable=False)


@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_everything_is_copied_once(kind: str, store: LocalStore, tmp_path: Path) -> None:
    store.put_named(f"{sha256_hex(image(9))[:16]}.png", image(9))
    store.put_named("photo.png", image(9))
    other = other_store(kind, tmp_path / "other")
    report = copy_store(store, other)
    assert (report.ok, report.objects, report.copied, report.unpromised) == (True, 6, 6, 1)
    assert sorted(other.list()) == sorted(store.list())
    for name in store.list():
        assert other.get(name) == store.get(name)
    again = copy_store(store, other)
    assert (again.copied, again.there) == (0, 6)
    assert check(other).ok


def test_damage_is_not_copied_and_damage_is_mended(store: LocalStore, tmp_path: Path) -> None:
    other = LocalStore(tmp_path / "other", durable=False)
    copy_store(store, other)
    (store.root / name_of(image(0))).write_bytes(b"damaged")
    (other.root / name_of(image(1))).write_bytes(b"damaged")
    (other.root / name_of(image(2))).unlink()
    report = copy_store(store, other)
    assert (report.copied, report.mended, report.there) == (2, 1, 2)
    assert report.ok  # the destination still has what the source lost
    assert check(other).ok
    other.delete(name_of(image(0)))
    report = copy_store(store, other)
    assert [(one.raw_image_id, one.code) for one in report.refused] == [
        (name_of(image(0)), "object_corrupt")
    ]
    assert not other.has(name_of(image(0)))


def test_a_changed_object_without_a_promise_is_copied_again(
    store: LocalStore, tmp_path: Path
) -> None:
    other = LocalStore(tmp_path / "other", durable=False)
    store.put_named("photo.png", image(1))
    copy_store(store, other)
    store.put_named("photo.png", image(2))
    assert copy_store(store, other).copied == 1
    assert other.get("photo.png") == image(2)


def test_names_that_the_destination_cannot_hold_are_told(store: LocalStore) -> None:
    store.put_named("photo.png", image(9))
    report = copy_store(store, PlainStore({}, "x"))
    assert [(one.raw_image_id, one.code) for one in report.refused] == [
        ("photo.png", "unsupported_option")
    ]
    assert report.copied == 4


def test_a_destination_that_refuses_ends_the_copy(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = LocalStore(tmp_path / "other", durable=False)

    def refuse(*args: Any, **options: Any) -> None:
        raise MMRawError("store_permission", "no")

    monkeypatch.setattr(other, "put_named", refuse)
    with pytest.raises(MMRawError, match="store_permission"):
        copy_store(store, other)


def test_runs_go_to_the_same_runs(tmp_path: Path) -> None:
    source = LocalStore(tmp_path / "a", run_ids=["x", "y"], durable=False)
    source.put(image(1), run_id="x")
    source.put(image(2), run_id="y")
    other = open_store("memory:///root", run_ids=["x", "y", "z"])
    assert copy_store(source, other).copied == 2
    assert list(other.list(run_id="y")) == [name_of(image(2))]
    with pytest.raises(MMRawError, match="run_mismatch"):
        copy_store(source, open_store("memory://"))


def test_an_interrupted_copy_goes_on_where_it_was(tmp_path: Path) -> None:
    source, state = interrupting(100), tmp_path / "state"
    other = LocalStore(tmp_path / "other", durable=False)
    source.after = 30
    with pytest.raises(KeyboardInterrupt):
        copy_store(source, other, workers=4, state=state)
    source.reads, source.after = 0, 10**9
    report = copy_store(source, other, workers=4, state=state)
    assert (report.objects, report.ok) == (100, True)
    assert 10 <= report.resumed <= 30
    assert source.reads <= 100 - report.resumed
    assert not state.exists()
    assert sorted(other.list()) == sorted(source.list())


def test_a_killed_copy_goes_on_where_it_was(tmp_path: Path) -> None:
    source = LocalStore(tmp_path / "source", durable=False)
    for number in range(60):
        source.put(image(number))
    script = f"""
import os
from pathlib import Path
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.maintenance import copy_store
def progress(count):
    if count == 25:
        os.kill(os.getpid(), 9)
copy_store(LocalStore({str(source.root)!r}), LocalStore({str(tmp_path / "other")!r}, durable=False),
           workers=2, state=Path({str(tmp_path / "state")!r}), progress=progress)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    other = LocalStore(tmp_path / "other", durable=False)
    report = copy_store(source, other, state=tmp_path / "state")
    assert (report.objects, report.resumed, report.ok) == (60, 25, True)
    assert check(other).objects == 60


# ----- the commands


def mmraw(*arguments: str | Path, code: int = 0) -> Any:
    """What a sub-command prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            ended = main(["store", *map(str, arguments)])
        except SystemExit as error:
            ended = error.code
    assert ended == code, printed.getvalue()
    return json.loads(printed.getvalue()) if "--json" in arguments else printed.getvalue()


def test_the_commands_tell_and_exit(store: LocalStore, tmp_path: Path) -> None:
    file = rollouts(tmp_path, ref_to(image(0)), ref_to(image(1)))
    place = ("--store", store.root)
    report = mmraw("fsck", file, *place, "--json")
    assert (report["ok"], report["objects"], len(report["orphaned"])) == (True, 4, 2)
    assert "all well" in mmraw("fsck", *place)
    dry = mmraw("gc", file, *place)
    assert name_of(image(2)) in dry
    assert "nothing was removed; --delete removes" in dry
    assert mmraw("gc", file, *place, "--older-than", "60d", "--json")["removable"] == []
    assert mmraw("gc", file, *place, "--delete", "--json")["removed"] == 2
    copied = mmraw("sync", store.root, tmp_path / "copy", "--json")
    assert (copied["ok"], copied["copied"]) == (True, 2)
    (store.root / name_of(image(0))).write_bytes(b"damaged")
    assert "object_corrupt" in mmraw("fsck", file, *place, code=1)
    assert "not copied: 1" in mmraw("sync", store.root, tmp_path / "copy2", code=1)
    rollouts(tmp_path, "mmraw:v9:x", name="bad.jsonl")
    said = mmraw("gc", tmp_path / "bad.jsonl", *place, "--delete", code=1)
    assert "nothing was removed, since not every file could be relied on" in said


def test_the_commands_refuse_wrong_calls(tmp_path: Path) -> None:
    mmraw("gc", "--store", tmp_path, code=2)
    mmraw("gc", "x", "--store", tmp_path, "--older-than", "soon", code=2)
    mmraw("fsck", "--store", tmp_path, "--workers", "0", code=2)
    assert (
        "store_invalid"
        in mmraw("fsck", "--store", tmp_path / "absent", "--json", code=1)["error"].values()
    )


def test_a_root_of_several_runs_on_the_command_line(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root", run_ids=["a", "b"], durable=False)
    store.put(image(1), run_id="a")
    store.put(image(2), run_id="b")
    report = mmraw("fsck", "--store", tmp_path / "root", "--runs", "a,b", "--json")
    assert report["objects"] == 2


def test_the_refs_of_these_tests_are_real(tmp_path: Path) -> None:
    for dialect in DIALECTS:
        parsed = read_references([rollouts(tmp_path, ref_to(PNG, dialect))], PlainStore({}, "x"))
        assert (parsed.refs, parsed.problems) == (1, [])
