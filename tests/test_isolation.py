"""Decoding in processes of their own: a crash is one error, and nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from described_refs import ref_of
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused

from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.families import get_adapter
from mmraw_protocol.images import decode_rgb
from mmraw_protocol.images.isolation import IsolatedDecoder
from mmraw_protocol.materialize import Materializer
from mmraw_protocol.wire.base64 import encode_base64
from mmraw_protocol.wire.ref import RawMMRef

JPEG = (vectors_folder() / "images" / "rgb_320x200.jpg").read_bytes()
FAULTS = "isolation_faults:decode"

if not hasattr(os, "pread"):
    pytest.skip("the workers need a POSIX system", allow_module_level=True)


@pytest.fixture(scope="module")
def faulty() -> Iterator[IsolatedDecoder]:
    """One worker whose decoder misbehaves on demand."""
    sys.path.insert(0, str(Path(__file__).parent))
    with IsolatedDecoder(processes=1, seconds=5, memory_bytes=1 << 29, decoder=FAULTS) as decoder:
        yield decoder
    sys.path.pop(0)


def outcome(data: bytes, **options: Any) -> Any:
    """The image, or everything that an error says."""
    try:
        return decode_rgb(data, **options)
    except MMRawError as error:
        return error.code, error.path, error.message


def files() -> list[Path]:
    """Every image that the vectors hold, sound or not."""
    return sorted(path for name in ("images", "bad_images") for path in folder(name).iterdir())


def folder(name: str) -> Path:
    return vectors_folder() / name


def test_every_image_has_the_same_pixels_or_error_in_a_worker() -> None:
    for path in files():
        data = path.read_bytes()
        for frames in ("single", "first"):
            how: Any = {"frames": frames, "path": "$.image[3]"}
            here = outcome(data, isolation="off", **how)
            assert outcome(data, isolation="process", **how) == here, path.name


@settings(max_examples=100)
@given(
    path=st.sampled_from([path for path in files() if 0 < path.stat().st_size < 100_000]),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
    cut=st.one_of(st.none(), st.integers(0, 3000)),
)
def test_a_damaged_image_has_the_same_pixels_or_error_in_a_worker(
    path: Path, edits: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(path.read_bytes())
    for at, value in edits:
        data[at % len(data)] = value
    damaged = bytes(data[:cut])
    assert outcome(damaged, isolation="process") == outcome(damaged, isolation="off")


def test_what_takes_too_much_here_needs_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    with IsolatedDecoder() as decoder:
        monkeypatch.setattr("mmraw_protocol.images.isolation.SHARED", decoder)
        monkeypatch.setattr(sys, "executable", "/no/such/python")
        assert decode_rgb(JPEG) == decode_rgb(JPEG, isolation="off")
        monkeypatch.setattr("mmraw_protocol.images.memory.BYTES_BESIDES", 0)
        error = refused(lambda: decode_rgb(JPEG, path="$.image[3]"))
        assert (error.code, error.path) == ("decoder_unavailable", "$.image[3]")
        assert "isolation='off'" in error.message
        assert decode_rgb(JPEG, isolation="off").width == 320
        ref = inline_ref()
        with Materializer(cache_bytes=0) as materializer:
            assert refused(materializer.materialize, ref).code == "decoder_unavailable"
        with Materializer(cache_bytes=0, isolation="off") as materializer:
            assert materializer.materialize(ref).width == 320
    wrong: Any = "thread"
    assert refused(lambda: decode_rgb(JPEG, isolation=wrong)).code == "unsupported_option"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"crash", "image_undecodable"),
        (b"killed", "decoder_unavailable"),
        (b"exit", "decoder_unavailable"),
        (b"memory", "image_undecodable"),
        (b"error", "image_undecodable"),
        (b"lie", "image_undecodable"),
        (b"short", "image_undecodable"),
        (b"", "empty_source"),
    ],
)
def test_a_crash_is_one_error_and_the_next_image_decodes(
    data: bytes, code: str, faulty: IsolatedDecoder
) -> None:
    assert refused(faulty.decode, data).code == code
    assert faulty.decode(JPEG) == decode_rgb(JPEG)


@pytest.mark.parametrize("data", [b"loop", b"sleep"])
def test_an_image_that_takes_too_long_is_one_error(data: bytes) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    with IsolatedDecoder(processes=1, seconds=0.2, decoder=FAULTS) as decoder:
        error = refused(decoder.decode, data)
    sys.path.pop(0)
    assert error.code == "decode_timeout"


def test_workers_are_used_again_and_replaced_when_they_died(faulty: IsolatedDecoder) -> None:
    first, second = (faulty.decode(b"pid").width for _ in range(2))
    assert first == second
    os.kill(first, signal.SIGKILL)
    while os.path.exists(f"/proc/{first}/status") and "Z" not in state_of(first):
        time.sleep(0.01)
    assert faulty.decode(b"pid").width != first


def test_a_worker_that_died_before_an_image_costs_that_image_nothing(
    faulty: IsolatedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = faulty.decode(b"pid").width
    os.kill(first, signal.SIGKILL)
    # As if it had died between the look at it and the request.
    monkeypatch.setattr("mmraw_protocol.images.isolation._Worker.is_alive", lambda _: True)
    assert faulty.decode(b"pid").width != first


def state_of(pid: int) -> str:
    """A process's state as /proc says it; Z where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_limits_hold_in_the_worker() -> None:
    with IsolatedDecoder(processes=1, limits=Limits(image_pixels=100)) as decoder:
        assert refused(decoder.decode, JPEG).code == "limit_exceeded"


def test_no_more_workers_than_asked_for(faulty: IsolatedDecoder) -> None:
    with ThreadPoolExecutor(8) as pool:
        pids = {image.width for image in pool.map(faulty.decode, [b"pid"] * 40)}
    assert len(pids) == 1


def test_a_decoder_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with IsolatedDecoder(decoder="no.such.module:decode") as decoder:
        assert refused(decoder.decode, JPEG).code == "decoder_unavailable"
    assert refused(decoder.decode, JPEG).code == "decoder_unavailable"
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with IsolatedDecoder() as decoder:
        assert refused(decoder.decode, JPEG).code == "decoder_unavailable"


@pytest.mark.parametrize("end", ["return", "os._exit", "SIGKILL", "SIGKILL while it works"])
def test_no_worker_outlives_the_process_that_started_it(end: str) -> None:
    program = (
        "import os, signal, sys, threading, time; sys.path.insert(0, sys.argv[1])\n"
        "from mmraw_protocol.images.isolation import IsolatedDecoder\n"
        "decoder = IsolatedDecoder(\n"
        "    processes=1, seconds=600, decoder='isolation_faults:decode')\n"
        "print(decoder.decode(b'pid').width, flush=True)\n"
        "if sys.argv[2] == 'os._exit': os._exit(0)\n"
        "if 'works' in sys.argv[2]:\n"
        "    threading.Thread(target=decoder.decode, args=(b'sleep',), daemon=True).start()\n"
        "    time.sleep(0.5)\n"
        "if 'SIGKILL' in sys.argv[2]: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), end]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    worker, until = int(done.stdout), time.monotonic() + 20
    while state_of(worker) != "Z":
        assert time.monotonic() < until, "the worker lives on"
        time.sleep(0.01)


_FORK = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from mmraw_protocol.images.isolation import IsolatedDecoder
decoder = IsolatedDecoder(processes=2, seconds=600, decoder="isolation_faults:decode")
parents = decoder.decode(b"pid").width
held, hold = os.pipe()
if sys.argv[2] == "busy":
    threading.Thread(target=decoder.decode, args=(b"sleep",), daemon=True).start()
    while decoder._idle:
        pass
child = os.fork()
if child:
    os.waitpid(child, 0) if sys.argv[2] == "idle" else os.read(held, 1)
    os.kill(os.getpid(), signal.SIGKILL)
signal.alarm(60)
found = []
threads = [
    threading.Thread(target=lambda: found.append(decoder.decode(b"pid").width)) for _ in range(8)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(parents, *found, flush=True)
os.write(hold, b"x")
if sys.argv[2] == "busy":
    # The child lives on, and its parent does not.
    sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_fork_has_workers_of_its_own_and_keeps_none_of_its_parent_alive(state: str) -> None:
    command = [sys.executable, "-c", _FORK, str(Path(__file__).parent), state]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        parents, *found = map(int, process.stdout.readline().split())
        assert len(found) == 8
        assert parents not in found
        assert len(set(found)) <= 2
        until = time.monotonic() + 20
        while state_of(parents) != "Z":
            assert time.monotonic() < until, "the worker lives on"
            time.sleep(0.01)


def inline_ref() -> RawMMRef:
    """A ref that holds the JPEG."""
    uri = f"data:image/jpeg;base64,{encode_base64(JPEG)}"
    return ref_of(get_adapter("qwen_vl"), JPEG, raw_uri=uri)


def test_a_materializer_decodes_in_isolation() -> None:
    ref = inline_ref()
    with Materializer(cache_bytes=0, isolation="process") as materializer:
        assert materializer.materialize(ref).rgb == decode_rgb(JPEG).rgb

        async def several() -> list[Any]:
            return await asyncio.gather(*[materializer.materialize_async(ref) for _ in range(5)])

        assert {image.rgb for image in asyncio.run(several())} == {decode_rgb(JPEG).rgb}
    assert refused(materializer.materialize, ref).code == "decoder_unavailable"
    wrong: Any = "thread"
    with pytest.raises(MMRawError):
        Materializer(isolation=wrong)
