"""Object stores without a server: places, errors, options, the cache, and collection by age."""

import errno
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from refusals import refused_code

from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.stores import CachedStore, LocalStore, ObjectStore, open_store
from mmraw_protocol.stores.aws_profile import profile_options
from mmraw_protocol.stores.listing import delete_older, list_entries, put_named
from mmraw_protocol.stores.object_errors import store_error
from mmraw_protocol.stores.place import parse_place
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n and more"
NAME = f"{sha256_hex(DATA)}.png"


def age(path: Path, seconds: float) -> None:
    """Makes a file look as old as that."""
    then = time.time() - seconds
    os.utime(path, (then, then))


# ----- places


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://bucket/a/b", "bucket", ("a", "b")),
        ("s3://bucket/a/b/", "bucket", ("a", "b")),
        ("s3://bucket", "bucket", ()),
        ("gs://my-bucket.example.com/x=1", "my-bucket.example.com", ("x=1",)),
        ("az://container/x", "container", ("x",)),
        ("memory://", "", ()),
        ("memory:///x", "", ("x",)),
    ],
)
def test_a_place_is_a_bucket_and_a_prefix(url: str, bucket: str, prefix: tuple[str, ...]) -> None:
    place = parse_place(url)
    assert (place.bucket, place.prefix) == (bucket, prefix)
    assert place.key(*place.prefix[:0], "name") == "/".join((*prefix, "name"))


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///prefix",
        "s3://key:secret@bucket/x",
        "s3://bucket/../other",
        "s3://bucket/a b",
        "s3://bucket/a?x=1",
        "s3://bucket/a#x",
        "s3://bucket/%2e%2e/x",
        "s3://[bucket/x",
        "s3://b\n/x",
        "http://bucket/x",
        "ftp://bucket/x",
    ],
)
def test_places_that_are_none(url: str) -> None:
    assert refused_code(open_store, url) == "store_invalid"


def test_credentials_in_a_url_are_named_as_the_fault() -> None:
    with pytest.raises(MMRawError, match="expected no credentials in the URL") as caught:
        open_store("s3://key:a-secret@bucket/x")
    assert "a-secret" not in str(caught.value)


def test_options_are_those_of_the_kind(tmp_path: Path) -> None:
    assert refused_code(open_store, tmp_path, timeout=3) == "unsupported_option"
    assert refused_code(open_store, "memory://", durable=False) == "unsupported_option"
    assert refused_code(open_store, "memory://", run_id="a", run_ids=["a"]) == "store_invalid"
    store = open_store("memory://", run_id="exp42", timeout=3, retries=0)
    assert isinstance(store, ObjectStore)
    assert store.get(store.put(DATA), run_id="run_exp42") == DATA


def test_a_store_in_memory_is_its_own(tmp_path: Path) -> None:
    store = open_store("memory://")
    store.put(DATA)
    assert not open_store("memory://").has(NAME)
    assert store.url(NAME) == f"memory:///{NAME}"
    with pytest.raises(TypeError):
        pickle.dumps(store)


def test_a_cloud_that_lacks_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    assert refused_code(open_store, "az://container/x") == "store_invalid"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert open_store("az://container/x").url(NAME) == f"az://container/x/{NAME}"
    assert open_store("gs://bucket/x").url(NAME) == f"gs://bucket/x/{NAME}"


# ----- errors


class PermissionDeniedError(Exception):
    """Named as obstore's."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError("NoSuchKey"), "source_unavailable"),
        (FileNotFoundError("404: NoSuchBucket"), "store_invalid"),
        (RuntimeError("404: ContainerNotFound"), "store_invalid"),
        (PermissionDeniedError("403"), "store_permission"),
        (RuntimeError("Error listing: 403 Forbidden"), "store_permission"),
        (RuntimeError("PUT http://169.254.169.254/latest/api/token"), "store_permission"),
        (RuntimeError("an incorrectly configured region"), "store_invalid"),
        (RuntimeError("507 Insufficient Storage"), "store_full"),
        (RuntimeError("error sending request for https://bucket/key?secret"), "store_unavailable"),
    ],
)
def test_what_the_client_throws_is_one_error_without_its_words(error: Exception, code: str) -> None:
    found = store_error(error)
    assert found.code == code
    for word in str(error).split():
        assert len(word) < 8 or word not in found.message


# ----- AWS profiles


def test_the_environment_comes_before_any_profile(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]\n")
    shared = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    assert profile_options({"AWS_ACCESS_KEY_ID": "x", "AWS_PROFILE": "p", **shared}) == {}
    assert profile_options({"AWS_WEB_IDENTITY_TOKEN_FILE": "x", **shared}) == {}
    assert profile_options({"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "absent")}) == {}


def test_a_profile_needs_botocore(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "botocore.session", None)
    assert refused_code(profile_options, {"AWS_PROFILE": "other"}) == "missing_dependency"
    (tmp_path / "credentials").write_text("[default]\n")
    shared = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    assert profile_options(shared) == {}


# ----- the cache


def behind_cache(folder: Path, **options: Any) -> tuple[LocalStore, CachedStore]:
    """A store and a cache before it."""
    store = LocalStore(folder / "store", durable=False)
    return store, CachedStore(store, folder / "cache", **options)


def kept(folder: Path) -> list[Path]:
    """The images in a cache."""
    return [path for path in (folder / "cache").glob("??/*") if path.is_file()]


def test_the_cache_reads_once(tmp_path: Path) -> None:
    store, cache = behind_cache(tmp_path)
    assert cache.put(DATA) == NAME
    assert [cache.get(NAME) for _ in range(3)] == [DATA] * 3
    assert (cache.hits, cache.misses) == (2, 1)
    store.delete(NAME)
    assert CachedStore(store, tmp_path / "cache").get(NAME) == DATA
    cache.delete(NAME)
    assert refused_code(cache.get, NAME) == "source_unavailable"


def test_what_the_cache_holds_is_verified(tmp_path: Path) -> None:
    _, cache = behind_cache(tmp_path)
    cache.get(cache.put(DATA))
    (path,) = kept(tmp_path)
    path.write_bytes(b"damaged")
    assert cache.get(NAME) == DATA
    assert path.read_bytes() == DATA


def test_names_that_promise_no_hash_are_not_kept(tmp_path: Path) -> None:
    store, cache = behind_cache(tmp_path)
    store.put_named("photo.png", DATA)
    assert cache.get("photo.png") == DATA
    store.put_named("photo.png", DATA + b"2")
    assert cache.get("photo.png") == DATA + b"2"


def test_a_run_does_not_read_another_runs_image_from_the_cache(tmp_path: Path) -> None:
    store = open_store(
        tmp_path / "root", run_ids=["a", "b"], durable=False, cache_dir=tmp_path / "cache"
    )
    store.put(DATA, run_id="a")
    assert store.get(NAME, run_id="run_a") == DATA
    assert refused_code(store.get, NAME, run_id="b") == "source_unavailable"
    assert refused_code(store.get, NAME, run_id="c") == "run_mismatch"


def digest(path: Path) -> str:
    """The sha256 of what a file of the cache holds, as its name says."""
    return path.name.rpartition("-")[2]


def test_the_cache_is_bounded_and_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    store, cache = behind_cache(tmp_path, max_bytes=10_000)
    names = [store.put(bytes([number]) * 1000) for number in range(20)]
    for number, name in enumerate(names):
        cache.get(name)
        # Used in this order, a minute apart.
        place = next(path for path in kept(tmp_path) if path.name.endswith(name[:64]))
        age(place, 3600 - 60 * number)
        assert sum(path.stat().st_size for path in kept(tmp_path)) <= 11_000
    cache.evict()
    assert {digest(path) for path in kept(tmp_path)} <= {name[:64] for name in names[-11:]}
    assert names[-1][:64] in {digest(path) for path in kept(tmp_path)}


def test_an_image_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    store, cache = behind_cache(tmp_path, max_bytes=10)
    assert cache.get(store.put(DATA)) == DATA
    assert kept(tmp_path) == []


def test_many_threads_and_handles_share_a_cache(tmp_path: Path) -> None:
    store, _ = behind_cache(tmp_path)
    images = [bytes([number]) * 2000 for number in range(40)]
    names = [store.put(image) for image in images]
    handles = [CachedStore(store, tmp_path / "cache", max_bytes=20_000) for _ in range(4)]

    def read(step: int) -> None:
        assert handles[step % 4].get(names[step * 7 % 40]) == images[step * 7 % 40]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(read, range(800)))
    handles[0].evict()
    # Each of the four may have added a sixteenth since it last looked.
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= 20_000 * 1.25


def test_a_full_disk_does_not_stop_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, cache = behind_cache(tmp_path)
    store.put(DATA)

    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("mmraw_protocol.stores.entries.write", full)
    assert cache.get(NAME) == DATA
    assert kept(tmp_path) == []


def test_a_cache_goes_to_other_processes(tmp_path: Path) -> None:
    _, cache = behind_cache(tmp_path)
    cache.put(DATA)
    assert pickle.loads(pickle.dumps(cache)).get(NAME) == DATA


# ----- what collection builds on


def test_putting_makes_an_object_young(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(DATA)
    age(tmp_path / NAME, 7200)
    (entry,) = store.entries()
    assert entry.modified == pytest.approx(time.time() - 7200, abs=60)
    store.put(DATA)
    assert not store.delete_older(NAME, older_than=3600)
    age(tmp_path / NAME, 7200)
    assert store.delete_older(NAME, older_than=3600)
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_is_put_while_it_is_collected_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    store.put(DATA)
    age(tmp_path / NAME, 7200)
    rename = os.rename

    def put_just_before(*args: Any, **options: Any) -> None:
        monkeypatch.setattr(os, "rename", rename)
        LocalStore(tmp_path).put(DATA)
        rename(*args, **options)

    monkeypatch.setattr(os, "rename", put_just_before)
    assert not store.delete_older(NAME, older_than=3600)
    assert store.get(NAME) == DATA
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_collecting_and_putting_at_once_loses_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    store.put(DATA)
    stop = threading.Event()

    def collect() -> int:
        removed = 0
        while not stop.is_set():
            with_old_age(tmp_path / NAME)
            removed += store.delete_older(NAME, older_than=3600)
        return removed

    with ThreadPoolExecutor(2) as pool:
        collecting = pool.submit(collect)
        handle = LocalStore(tmp_path, durable=False)
        for _ in range(1500):
            handle.put(DATA)
        stop.set()
        collecting.result()
    handle.put(DATA)
    assert store.get(NAME) == DATA
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def with_old_age(path: Path) -> None:
    """Makes it old, if it is there."""
    try:
        age(path, 7200)
    except FileNotFoundError:
        return


def test_a_store_of_the_bare_protocol_lists_names_and_keeps_its_own() -> None:
    from plain_store import PlainStore

    store = PlainStore({}, "x")
    store.put(DATA)
    (entry,) = list_entries(store)
    assert (entry.raw_image_id, entry.size, entry.modified) == (NAME, None, None)
    assert refused_code(delete_older, store, NAME, older_than=0.0) == "unsupported_option"
    put_named(store, NAME, DATA)
    assert refused_code(put_named, store, f"{NAME[:16]}.png", DATA) == "unsupported_option"
    assert refused_code(put_named, store, f"{'0' * 64}.png", DATA) == "object_corrupt"


def test_sizes_of_given_names_are_bounded() -> None:
    store = ObjectStore("memory://", limits=Limits(inline_image_bytes=10))
    assert refused_code(store.put_named, "photo.png", b"x" * 11) == "limit_exceeded"
