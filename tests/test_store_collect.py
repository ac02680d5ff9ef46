"""gc: nothing young, nothing that is referred to, and nothing at all where a file is in doubt."""

import os
from pathlib import Path

import pytest
from old_images import age, image, name_of, old_store, ref_to, rollouts
from plain_store import PlainStore
from samples import PNG

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.maintenance import collect, read_references
from mmraw_protocol.stores.maintenance.fsck import ObjectName


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return old_store(tmp_path / "images")


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
