"""A server that dies, a network that lies: what was acknowledged stays, nothing wrong is given."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faulty_proxy as faults
import pytest
from faulty_proxy import Fault, FaultyProxy
from s3_server import S3Server
from stores import Opener, refused

from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.stores import CachedStore, ObjectStore
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
NAME = f"{sha256_hex(DATA)}.png"


def image(number: int) -> bytes:
    """A different image for each number."""
    return b"\x89PNG\r\n\x1a\n" + f"picture {number} ".encode() * 2000


def test_what_was_acknowledged_outlives_a_killed_server(
    own_server: S3Server, open_quick: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    store = open_quick(retries=1, retry_seconds=1.0)
    acknowledged: list[tuple[str, bytes]] = []
    failed: set[str] = set()

    def write(number: int) -> None:
        try:
            acknowledged.append((store.put(image(number)), image(number)))
        except MMRawError as error:
            failed.add(error.code)
        if len(acknowledged) == 40:
            own_server.kill()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
    assert failed == {"store_unavailable"}
    assert refused(store.get, acknowledged[0][0]).code == "store_unavailable"
    own_server.start()
    assert 40 <= len(acknowledged) < 100
    for name, data in acknowledged:
        assert store.get(name) == data
    for number in range(100):
        assert store.get(store.put(image(number))) == image(number)


def test_a_restart_within_the_retries_is_not_noticed(
    own_server: S3Server, open_quick: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    store = open_quick(retries=50, retry_seconds=30.0)
    store.put(DATA)
    own_server.kill()
    with ThreadPoolExecutor(2) as pool:
        reading, writing = pool.submit(store.get, NAME), pool.submit(store.put, image(1))
        own_server.start()
        assert reading.result() == DATA
        assert store.get(writing.result()) == image(1)


def test_a_server_that_is_not_there(open_quick: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    store = open_quick()
    for work in (store.get, store.has, store.delete):
        assert refused(work, NAME).code == "store_unavailable"
    assert refused(store.put, DATA).code == "store_unavailable"
    assert refused(store.list).code == "store_unavailable"


@pytest.mark.parametrize("fault", [faults.unavailable, faults.reset, faults.cut_body])
def test_a_passing_fault_is_not_noticed(
    fault: Fault, proxy: FaultyProxy, open_quick: Opener
) -> None:
    store = open_quick()
    store.put(DATA)
    proxy.hurt("GET", fault, times=2)
    assert store.get(NAME) == DATA
    assert proxy.count("GET") == 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.slow, "store_unavailable"),
        (faults.slow_body, "store_unavailable"),
        (faults.cut_body, "store_unavailable"),
        (faults.unavailable, "store_unavailable"),
        (faults.reset, "store_unavailable"),
        (faults.short_body, "object_corrupt"),
        (faults.wrong_bytes, "object_corrupt"),
        (faults.enormous, "limit_exceeded"),
    ],
)
def test_a_lasting_fault_is_one_error_and_never_a_wrong_image(
    fault: Fault, code: str, proxy: FaultyProxy, open_quick: Opener
) -> None:
    store = open_quick(timeout=0.3)
    store.put(DATA)
    proxy.hurt_always("GET", fault)
    assert refused(store.get, NAME).code == code
    # Bounded: the first request and two repetitions, of a body once more each.
    assert proxy.count("GET") <= 3 * 3
    proxy.heal()
    assert store.get(NAME) == DATA


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.slow, "store_unavailable"),
        (faults.unavailable, "store_unavailable"),
        (faults.reset, "store_unavailable"),
        (faults.full, "store_full"),
    ],
)
def test_writing_against_a_lasting_fault(
    fault: Fault, code: str, proxy: FaultyProxy, open_quick: Opener
) -> None:
    store = open_quick(timeout=0.3)
    proxy.hurt_always("PUT", fault)
    started = time.monotonic()
    assert refused(store.put, DATA).code == code
    # Far from a measurement: it shows that the bounds were heard at all (the default is minutes).
    assert time.monotonic() - started < 20
    proxy.heal()
    assert store.get(store.put(DATA)) == DATA


def test_a_write_that_was_done_and_not_answered_can_be_repeated(
    proxy: FaultyProxy, open_quick: Opener
) -> None:
    store = open_quick()
    proxy.hurt("PUT", faults.reset)
    assert store.put(DATA) == NAME
    assert store.get(NAME) == DATA


def test_an_object_beyond_the_limit_is_refused_before_its_body(
    proxy: FaultyProxy, open_quick: Opener
) -> None:
    open_quick().put(DATA)
    small = open_quick(limits=Limits(inline_image_bytes=1000))
    # Half the body never comes: reading it would fail in another way.
    proxy.hurt_always("GET", faults.slow_body)
    assert refused(small.get, NAME).code == "limit_exceeded"


def test_the_cache_answers_while_the_server_is_down(
    own_server: S3Server, open_quick: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    store = CachedStore(open_quick(retries=0), tmp_path / "cache")
    store.put(DATA)
    assert store.get(NAME) == DATA
    own_server.kill()
    assert store.get(NAME) == DATA
    assert (store.hits, store.misses) == (1, 1)
    assert refused(store.get, f"{sha256_hex(b'x')}.img").code == "store_unavailable"


def test_what_a_lying_server_gave_is_not_cached(
    proxy: FaultyProxy, open_quick: Opener, tmp_path: Path
) -> None:
    store = CachedStore(open_quick(), tmp_path)
    store.put(DATA)
    proxy.hurt("GET", faults.wrong_bytes)
    assert refused(store.get, NAME).code == "object_corrupt"
    assert store.get(NAME) == DATA
    proxy.heal()
    assert store.get(NAME) == DATA
    assert proxy.count("GET") == 0


def test_stores_are_bounded_by_default() -> None:
    store = ObjectStore("s3://images/x")
    assert store._options["timeout"] * 1.0 + store._options["retry_seconds"] <= 90
