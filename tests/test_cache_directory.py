"""The directory of a cache: what others put there is never touched."""

import os
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import MMRawError, open_store
from mmraw_protocol.stores import CachedStore
from mmraw_protocol.stores.cache_directory import TAG

DATA = b"\x89PNG\r\n\x1a\n" + b"1" * 500
SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n"


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def cached(tmp_path: Path, **options: Any) -> Any:
    place = tmp_path / "store"
    return open_store(place, durable=False, cache_dir=tmp_path / "cache", **options)


@pytest.mark.parametrize(
    "theirs",
    [
        {"thesis/chapter1.tex": "x" * 5000},
        {".git/objects/ab": "x" * 5000},
        {".hidden": "x"},
        {"aa/" + "0" * 64 + ".png": "x" * 5000},
        # Other programs mark their caches by the same file: pytest, ruff, cargo.
        {"CACHEDIR.TAG": SIGNATURE + "# This file is a cache directory tag created by pytest.\n"},
        {"CACHEDIR.TAG": SIGNATURE},
        {"CACHEDIR.TAG": "# mmraw-protocol\n# mmraw-protocol\n"},
        {"CACHEDIR.TAG": ""},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_directory_of_others_is_refused(theirs: dict[str, str], tmp_path: Path) -> None:
    for name, text in theirs.items():
        (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).write_text(text)
    before = files_in(tmp_path / "cache")
    with pytest.raises(MMRawError) as caught:
        cached(tmp_path, cache_bytes=1000)
    assert caught.value.code == "store_invalid"
    assert files_in(tmp_path / "cache") == before


def test_an_empty_directory_is_marked_and_used(tmp_path: Path) -> None:
    (tmp_path / "cache" / "lost+found").mkdir(parents=True)
    store = cached(tmp_path)
    name = store.put(DATA)
    assert store.get(name) == store.get(name) == DATA
    assert (store.misses, store.hits) == (1, 1)
    assert "mmraw-protocol" in (tmp_path / "cache" / TAG).read_text().splitlines()[1]
    assert cached(tmp_path).get(name) == DATA


def test_eviction_removes_only_what_the_cache_wrote(tmp_path: Path) -> None:
    cached(tmp_path)
    theirs = {
        "thesis/chapter1.tex": "x" * 5000,
        "aa/notes.txt": "x" * 5000,
        "aa/" + "0" * 64 + ".png": "x" * 5000,
        "ab": "x" * 5000,
        "0" * 32 + "-" + "0" * 64: "x" * 5000,
        "thesis/" + "0" * 32 + "-" + "0" * 64: "x" * 5000,
    }
    for name, text in theirs.items():
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1, 1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ("0" * 32 + "-" + "0" * 64)).write_text("x" * 5000)
    (tmp_path / "cache" / "ff").symlink_to(elsewhere)
    store = cached(tmp_path, cache_bytes=3000)
    for number in range(40):
        store.get(store.put(DATA + bytes([number])))
    store.evict()
    left = files_in(tmp_path / "cache")
    assert {name: left[name].decode() for name in theirs} == theirs
    assert len(list(elsewhere.iterdir())) == 1
    ours = [data for name, data in left.items() if name.count("-") and name not in theirs]
    assert 0 < sum(map(len, ours)) <= 3000 * 1.0625 + len(DATA)


def test_labels_that_clients_choose_cost_nothing_that_lasts(tmp_path: Path) -> None:
    store = cached(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for number in range(300):
        with pytest.raises(MMRawError):
            store.get("0" * 64 + ".png", run_id=f"client-{number}")
    name = store.put(DATA)
    for number in range(300):
        assert store.get(name, run_id=f"client-{number}") == DATA
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1


def test_a_cache_that_is_gone_stops_no_reading(tmp_path: Path) -> None:
    import shutil

    store = cached(tmp_path)
    name = store.put(DATA)
    assert store.get(name) == DATA
    shutil.rmtree(tmp_path / "cache")
    assert store.get(name) == DATA
    store.delete(name)
    assert not store.has(name)


@pytest.mark.parametrize("size", [-1, float("nan")])
def test_a_bound_is_a_number_of_bytes(size: Any, tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    with pytest.raises(MMRawError) as caught:
        CachedStore(store, tmp_path / "cache", max_bytes=size)
    assert caught.value.code == "unsupported_option"
