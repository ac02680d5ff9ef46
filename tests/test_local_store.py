"""The local store: content-addressed, atomic, verified, and never led out of its directory."""

import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_image import DATA, NAME, files
from refusals import refused_code

from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.stores import AssetStore, LocalStore, open_store, sniff_extension
from mmraw_protocol.wire.hashes import sha256_hex


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store."""
    return LocalStore(tmp_path / "images")


@given(st.binary(min_size=1, max_size=100))
def test_what_was_put_is_got(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder, durable=False)
        name = store.put(data)
        assert name == f"{sha256_hex(data)}.{sniff_extension(data)}"
        assert store.get(name) == data
        assert store.has(name)
        assert store.put(data) == name
        assert list(store.list()) == [name]
        store.delete(name)
        store.delete(name)
        assert not store.has(name)


def test_it_is_an_asset_store(store: LocalStore) -> None:
    assert isinstance(store, AssetStore)


def test_modes_and_names(store: LocalStore) -> None:
    assert store.put(DATA) == NAME
    assert files(store) == [NAME]
    assert stat.S_IMODE(os.stat(store.root / NAME).st_mode) == 0o640
    assert stat.S_IMODE(os.stat(store.root).st_mode) == 0o750
    assert store.url(NAME) == (store.root / NAME).as_uri()


@pytest.mark.parametrize("size", [16, 32, 64])
def test_names_of_older_writers_are_read_and_the_hash_decides(size: int, store: LocalStore) -> None:
    name = f"{sha256_hex(DATA)[:size]}.png"
    (store.root / name).write_bytes(DATA)
    assert store.get(name) == DATA
    (store.root / name).write_bytes(b"other")
    assert refused_code(store.get, name) == "object_corrupt"


def test_a_corrupt_object_is_replaced(store: LocalStore) -> None:
    for wrong in (b"", b"torn", DATA + b"x", b"y" * len(DATA)):
        (store.root / NAME).write_bytes(wrong)
        assert refused_code(store.get, NAME) == "object_corrupt"
        store.put(DATA)
        assert store.get(NAME) == DATA
        assert files(store) == [NAME]


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "directory", "socket", "device"])
def test_what_is_no_regular_file_is_refused_and_replaced(kind: str, store: LocalStore) -> None:
    place = store.root / NAME
    if kind == "symlink":
        (store.root.parent / "secret").write_bytes(DATA)
        place.symlink_to(store.root.parent / "secret")
    elif kind == "dangling":
        place.symlink_to(store.root / "nowhere")
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    elif kind == "socket":
        os.mknod(place, stat.S_IFSOCK | 0o600)
    else:
        try:
            os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # endless zeroes
        except PermissionError:
            pytest.skip("only root makes devices")
    assert refused_code(store.get, NAME) == "source_unavailable"
    assert not store.has(NAME)
    store.put(DATA)
    assert store.get(NAME) == DATA
    assert not place.is_symlink()


def test_a_hard_link_is_read_and_the_hash_decides(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"not this image")
    os.link(tmp_path / "secret", store.root / NAME)
    assert refused_code(store.get, NAME) == "object_corrupt"


@pytest.mark.parametrize(
    "name", ["../secret", "a/b", "..", ".", "", "-x", ".hidden", "a\x00b", "CON"]
)
def test_names_that_leave_the_store_are_refused(name: str, store: LocalStore) -> None:
    for work in (store.get, store.has, store.delete, store.url):
        assert refused_code(work, name) == "invalid_raw_image_id"


def test_sizes_are_bounded(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, limits=Limits(inline_image_bytes=10))
    assert refused_code(store.put, b"x" * 11) == "limit_exceeded"
    (tmp_path / "large.img").write_bytes(b"x" * 11)
    assert refused_code(store.get, "large.img") == "limit_exceeded"
    assert refused_code(store.put, b"") == "empty_source"


def test_a_store_of_one_run_refuses_others(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, run_id="run_exp42")
    for run_id in ("exp42", "run_exp42", None):
        store.check_run(run_id)
    assert refused_code(store.check_run, "other") == "run_mismatch"
    assert refused_code(store.get, NAME, run_id="other") == "run_mismatch"
    LocalStore(tmp_path).check_run("any")


def test_a_store_of_several_runs_needs_the_run_named(tmp_path: Path) -> None:
    store = open_store(tmp_path, run_ids=["a", "b"])
    name = store.put(DATA, run_id="a")
    assert (tmp_path / "run_a" / "assets" / "images" / name).exists()
    assert store.get(name, run_id="a") == DATA
    assert refused_code(store.get, name, run_id="b") == "source_unavailable"
    assert not store.has(name, run_id="b")
    assert refused_code(store.get, name) == "run_mismatch"
    assert refused_code(store.put, DATA, run_id="c") == "run_mismatch"
    assert refused_code(open_store(tmp_path, run_ids=[]).put, DATA, run_id="a") == "run_mismatch"
    assert refused_code(open_store, tmp_path, run_id="a", run_ids=["a"]) == "store_invalid"


@pytest.mark.parametrize("part", ["run_a", "run_a/assets", "run_a/assets/images"])
def test_no_part_below_the_root_may_be_a_link(part: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "assets" / "images" / "images").mkdir(parents=True)
    root = tmp_path / "root"
    (root / part).parent.mkdir(parents=True)
    (root / part).symlink_to(outside)
    store = LocalStore(root, run_ids=["a"])
    assert refused_code(store.put, DATA, run_id="a") in ("store_invalid", "store_permission")
    assert not list(outside.rglob("*.png"))


def test_stores_are_opened_by_path_or_url(tmp_path: Path) -> None:
    for place in (tmp_path, str(tmp_path), tmp_path.as_uri()):
        assert open_store(place).put(DATA) == NAME
    assert refused_code(open_store, "gopher://x/y") == "store_invalid"
    assert refused_code(open_store, "file://otherhost/tmp") == "store_invalid"
    (tmp_path / "file").write_bytes(b"")
    assert refused_code(open_store, tmp_path / "file") == "store_invalid"
    assert refused_code(open_store, tmp_path / "missing", create=False) == "store_invalid"


def test_stale_temporary_files_are_swept(store: LocalStore) -> None:
    old = store.root / f".mmraw-{'0' * 32}.tmp"
    young = store.root / f".mmraw-{'1' * 32}.tmp"
    foreign = store.root / ".mmraw-other.tmp"
    for path in (old, young, foreign):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    os.utime(foreign, (0, 0))
    assert list(store.list()) == []
    assert store.sweep() == 1
    assert files(store) == sorted([young.name, foreign.name])


def test_many_writers_and_readers_never_see_a_torn_object(store: LocalStore) -> None:
    data = bytes(range(256)) * 2000
    name = store.put(data)
    store.delete(name)

    def write() -> str:
        return store.put(data)

    def read() -> bool:
        try:
            return store.get(name) == data
        except MMRawError as error:
            return error.code == "source_unavailable"

    with ThreadPoolExecutor(16) as pool:
        writers = [pool.submit(write) for _ in range(64)]
        readers = [pool.submit(read) for _ in range(64)]
        assert {future.result() for future in writers} == {name}
        assert all(future.result() for future in readers)
    assert files(store) == [name]


def test_the_first_put_sweeps_and_a_reading_store_changes_nothing(store: LocalStore) -> None:
    old = store.root / f".mmraw-{'0' * 32}.tmp"
    old.write_bytes(b"x")
    os.utime(old, (0, 0))
    reader = LocalStore(store.root, create=False)
    assert not reader.has(NAME)
    assert refused_code(reader.get, NAME) == "source_unavailable"
    assert files(store) == [old.name]
    store.put(DATA)
    assert files(store) == [NAME]


def test_a_writer_whose_temporary_file_was_swept_writes_again(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, lost = os.rename, []

    def sweep_first(source: str, target: str, **places: int) -> None:
        if not lost:
            lost.append(source)
            os.unlink(store.root / source)
        rename(source, target, **places)

    monkeypatch.setattr(os, "rename", sweep_first)
    assert store.get(store.put(DATA)) == DATA
    assert files(store) == [NAME]
    assert len(lost) == 1


def test_what_the_path_of_an_open_store_leads_to_later_does_not_matter(
    store: LocalStore, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    os.rename(store.root, tmp_path / "moved")
    store.root.symlink_to(outside)
    assert refused_code(store.get, "secret.png") == "source_unavailable"
    store.put(DATA)
    assert os.listdir(outside) == ["secret.png"]
    assert os.listdir(tmp_path / "moved") == [NAME]


def test_a_directory_that_was_removed_is_said_plainly(store: LocalStore) -> None:
    store.root.rmdir()
    cases: list[tuple[Any, Any]] = [(store.put, DATA), (store.get, NAME)]
    for work, argument in cases:
        with pytest.raises(MMRawError, match="was removed; open it again") as caught:
            work(argument)
        assert caught.value.code == "store_invalid"


def test_a_store_travels_to_other_processes_by_its_place(store: LocalStore) -> None:
    store.put(DATA)
    again = pickle.loads(pickle.dumps(store))
    assert again.get(NAME) == DATA
    assert again.root == store.root


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        root = tmp_path / "above" / "root"
        shared = LocalStore(root, run_ids=["a"], file_mode=0o664, dir_mode=0o775)
        name = shared.put(DATA, run_id="a")
    finally:
        os.umask(before)
    images = root / "run_a" / "assets" / "images"
    for directory in (root.parent, root, images.parent.parent, images.parent, images):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o775
    assert stat.S_IMODE((images / name).stat().st_mode) == 0o664


@pytest.mark.parametrize("place", ["a\x00b", b"bytes", 7, None, "x" * 5000, "x/" * 3000])
def test_what_is_no_path_is_refused_and_nothing_made(
    place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused_code(LocalStore, place) == "store_invalid"
    assert os.listdir(tmp_path) == []
