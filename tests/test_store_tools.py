"""fsck, gc and sync: faults are reported, objects in use stay, finished work is kept."""

from pathlib import Path

import pytest
from old_images import DIALECTS, image, mmraw, name_of, old_store, ref_to, rollouts
from plain_store import PlainStore
from samples import PNG

from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.maintenance import read_references


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return old_store(tmp_path / "images")


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
