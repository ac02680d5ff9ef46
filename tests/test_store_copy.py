"""sync: everything is copied once, and damage is not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from old_images import image, interrupting, name_of, old_store
from plain_store import PlainStore

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import AssetStore, LocalStore, open_store
from mmraw_protocol.stores.maintenance import check, copy_store
from mmraw_protocol.wire.hashes import sha256_hex


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return old_store(tmp_path / "images")


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
