"""The rules, in the order in which they build on each other; each says one thing."""

# The name of a rule says what it demands.
# ruff: noqa: D103

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from ...wire._generated.limits import Limits
from ...wire.errors import MMRawError
from ...wire.hashes import sha256_hex
from ..base import AssetStore
from ..listing import delete_older, list_entries, put_named
from .subject import KINDS, Subject, expect, picture, refused, rule, tampering

_ABSENT = "0" * 64 + ".png"
_LEADING_OUT = ("../x", "a/b", "..", ".", "", "-x", ".hidden", "a\x00b", "x.", "CON")


@rule
def what_was_put_is_got(subject: Subject) -> None:
    store = subject.open()
    for data in (b"\x00", picture("a"), os.urandom(3_000_001), b"\r\n" * 50_000):
        name = store.put(data)
        expect(store.get(name) == data, "get gave other bytes than were put")
        expect(type(store.get(name)) is bytes, "get gave something else than bytes")


@rule
def names_are_hash_and_extension(subject: Subject) -> None:
    store = subject.open()
    for kind in KINDS:
        data = picture(kind, kind)
        expected = f"{sha256_hex(data)}.{kind}"
        expect(store.put(data) == expected, "the name is not <64 hex of sha256>.<ext>")


@rule
def putting_twice_is_putting_once(subject: Subject) -> None:
    store = subject.open()
    names = {store.put(picture("same")) for _ in range(3)}
    expect(len(names) == 1, "the same bytes got several names")
    expect(list(store.list()) == list(names), "the same bytes are listed several times")


@rule
def another_handle_sees_what_was_put(subject: Subject) -> None:
    name = subject.open().put(picture("shared"))
    other = subject.open()
    expect(other.get(name) == picture("shared"), "another handle gets other bytes")
    expect(other.has(name) and list(other.list()) == [name], "another handle does not see it")


@rule
def list_names_every_object_once(subject: Subject) -> None:
    store = subject.open()
    names = sorted(store.put(picture(str(number))) for number in range(25))
    expect(sorted(store.list()) == names, "the listing is not what was put")


@rule
def what_is_deleted_is_gone(subject: Subject) -> None:
    store = subject.open()
    name, other = store.put(picture("one")), store.put(picture("two"))
    store.delete(name)
    store.delete(name)
    expect(not store.has(name), "has reports a deleted object")
    refused("source_unavailable", store.get, name)
    expect(list(store.list()) == [other], "the listing has a deleted object, or lacks another")
    expect(store.put(picture("one")) == name, "it gets another name when put again")
    expect(store.get(name) == picture("one"), "it cannot be put again")


@rule
def what_is_absent_is_unavailable(subject: Subject) -> None:
    store = subject.open()
    store.put(picture("another"))
    refused("source_unavailable", store.get, _ABSENT)
    expect(not store.has(_ABSENT), "has reports an object that was never put")
    store.delete(_ABSENT)


@rule
def names_that_lead_out_are_refused(subject: Subject) -> None:
    store = subject.open()
    for name in _LEADING_OUT:
        for work in (store.get, store.has, store.delete, store.url):
            refused("invalid_raw_image_id", work, name)


@rule
def nothing_is_no_image(subject: Subject) -> None:
    store = subject.open()
    refused("empty_source", store.put, b"")
    expect(not list(store.list()), "an empty image was stored")


@rule
def sizes_are_bounded(subject: Subject) -> None:
    large = picture("large", size=1000)
    name = subject.open().put(large)
    small = subject.open(limits=Limits(inline_image_bytes=len(large) - 1))
    refused("limit_exceeded", small.put, large)
    refused("limit_exceeded", small.get, name)
    exact = subject.open(limits=Limits(inline_image_bytes=len(large)))
    expect(exact.get(exact.put(large)) == large, "an image of exactly the limit is refused")


@tampering
def damage_is_refused(subject: Subject) -> None:
    store, data = subject.open(), picture("whole", size=5000)
    name = store.put(data)
    for wrong in (data[:-1], data + b"x", b"y" * len(data), b""):
        subject.tamper(name, wrong)
        refused("object_corrupt", store.get, name)


@tampering
def damage_is_mended_by_putting_again(subject: Subject) -> None:
    store, data = subject.open(), picture("whole", size=5000)
    name = store.put(data)
    for wrong in (data[:-1], data + b"x", b"y" * len(data), b""):
        subject.tamper(name, wrong)
        expect(store.put(data) == name, "a damaged object's name changed")
        expect(store.get(name) == data, "what was there was trusted")


@tampering
def older_names_are_read_and_the_hash_decides(subject: Subject) -> None:
    store, data = subject.open(), picture("older")
    for size in (16, 32):
        name = f"{sha256_hex(data)[:size]}.png"
        subject.tamper(name, picture("other"))
        refused("object_corrupt", store.get, name)
        subject.tamper(name, data)
        expect(store.get(name) == data, "a name of 16 or 32 hex digits is not read")
    subject.tamper("photo-1.png", data)
    expect(store.get("photo-1.png") == data, "a name that promises no hash is not read")


@rule
def one_run_refuses_others(subject: Subject) -> None:
    store = subject.open(run_id="run_exp42")
    for own in ("exp42", "run_exp42", None):
        store.check_run(own)
        name = store.put(picture("own"), run_id=own)
        expect(store.get(name, run_id=own) == picture("own"), "the store's own run is refused")
    for work in (store.get, store.has, store.delete, store.url):
        refused("run_mismatch", work, name, run_id="another")
    refused("run_mismatch", store.put, picture("x"), run_id="another")
    refused("run_mismatch", store.list, run_id="another")
    refused("run_mismatch", store.check_run, "another")
    refused("invalid_run_id", store.check_run, "../exp42")
    subject.open().check_run("any")


@rule
def several_runs_are_kept_apart(subject: Subject) -> None:
    store = subject.open(run_ids=["a", "run_b"])
    name = store.put(picture("of a"), run_id="a")
    expect(store.get(name, run_id="run_a") == picture("of a"), "a run's image cannot be read")
    expect(not store.has(name, run_id="b"), "an image of one run is there in another")
    refused("source_unavailable", store.get, name, run_id="b")
    store.put(picture("of b"), run_id="b")
    expect(list(store.list(run_id="a")) == [name], "a listing mixes runs")
    expect(store.url(name, run_id="a") != store.url(name, run_id="b"), "runs share a URL")


@rule
def several_runs_must_be_named_and_allowed(subject: Subject) -> None:
    subject.open(run_ids=["a", "c"]).put(picture("of c"), run_id="c")
    store = subject.open(run_ids=["a"])
    name = store.put(picture("of c"), run_id="a")
    for run_id in (None, "c"):
        refused("run_mismatch", store.get, name, run_id=run_id)
        refused("run_mismatch", store.put, picture("x"), run_id=run_id)
        refused("run_mismatch", store.check_run, run_id)
    refused("run_mismatch", subject.open(run_ids=[]).check_run, "a")
    refused("store_invalid", subject.open, run_id="a", run_ids=["a"])


@rule
def urls_end_with_the_name(subject: Subject) -> None:
    store = subject.open()
    names = [store.put(picture(text)) for text in "ab"]
    for name in names:
        url = store.url(name)
        expect("://" in url and url.endswith(f"/{name}"), "a URL does not end with /<name>")
        expect(url == subject.open().url(name), "the URL depends on the caller")
    expect(store.url(_ABSENT).endswith(_ABSENT), "a URL needs its object to be there")


@rule
def listings_tell_size_and_age(subject: Subject) -> None:
    store, data = subject.open(), picture("sized", size=777)
    name = store.put(data)
    (entry,) = list_entries(store)
    expect(entry.raw_image_id == name, "the listing gives another name")
    expect(entry.size in (None, len(data)), "the listing gives a wrong size")
    expect(entry.modified is None or entry.modified > 1e9, "the age is no time since 1970")


@rule
def only_old_objects_are_collected(subject: Subject) -> None:
    store = subject.open()
    name = store.put(picture("young"))
    if not hasattr(store, "delete_older"):
        return
    expect(not delete_older(store, name, older_than=86400.0), "a young object was removed")
    expect(store.get(name) == picture("young"), "a young object was lost")
    # Older than in a day from now: true of every object with any server's clock.
    expect(delete_older(store, name, older_than=-86400.0), "an old object was not removed")
    expect(not store.has(name), "it is said to be removed and is there")
    expect(not delete_older(store, name, older_than=-86400.0), "an absent object was removed")


@rule
def given_names_are_kept(subject: Subject) -> None:
    store, data = subject.open(), picture("older")
    if not hasattr(store, "put_named"):
        return
    for name in (f"{sha256_hex(data)[:16]}.png", f"{sha256_hex(data)}.jpeg", "photo-1.png"):
        put_named(store, name, data)
        expect(store.get(name) == data, "an object cannot be read by the name it was given")
    refused("object_corrupt", put_named, store, "0" * 32 + ".png", data)
    refused("invalid_raw_image_id", put_named, store, "../x", data)


@rule
def writers_and_readers_do_not_disturb_each_other(subject: Subject) -> None:
    stores = [subject.open() for _ in range(4)]
    images = [picture(f"picture {number}", size=1000 + 9000 * number) for number in range(16)]
    names = [f"{sha256_hex(image)}.png" for image in images]
    start = threading.Barrier(128)

    def write(number: int) -> None:
        start.wait()
        for image in (images[number % 16], images[(number + 1) % 16]):
            stores[number % 4].put(image)

    def read(number: int) -> None:
        start.wait()
        for step in range(4):
            which = (number + step) % 16
            data = _got_or_absent(stores[(number + 1) % 4], names[which])
            expect(data in (None, images[which]), "a reader saw something else than the image")

    with ThreadPoolExecutor(128) as pool:
        work = [pool.submit(write, number) for number in range(64)]
        work += [pool.submit(read, number) for number in range(64)]
        for done in work:
            done.result()
    expect(sorted(stores[0].list()) == sorted(names), "the listing is not what was put")
    for name, image in zip(names, images, strict=True):
        expect(stores[0].get(name) == image, "what was acknowledged is not there")


@rule
def deletions_tear_nothing(subject: Subject) -> None:
    store, image = subject.open(), picture("comes and goes", size=200_000)
    name = store.put(image)
    start = threading.Barrier(24)

    def churn(number: int) -> None:
        start.wait()
        for _ in range(6):
            if number % 3 == 0:
                store.delete(name)
            elif number % 3 == 1:
                expect(store.put(image) == name, "the name changed")
            else:
                data = _got_or_absent(store, name)
                expect(data in (None, image), "a reader saw a torn object")

    with ThreadPoolExecutor(24) as pool:
        for done in [pool.submit(churn, number) for number in range(24)]:
            done.result()
    store.put(image)
    expect(store.get(name) == image, "the object cannot be put again")


def _got_or_absent(store: AssetStore, name: str) -> bytes | None:
    try:
        return store.get(name)
    except MMRawError as error:
        expect(error.code == "source_unavailable", f"a reader was refused with {error.code}")
    return None
