"""Programs for tests that fork, interrupt or close descriptors: each runs in a process of its own.

    python tests/process_programs.py NAME ARGUMENT…

A program prints what it saw as one line of JSON on the descriptor 50, which it opens first.
"""

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

WATCHDOG_SECONDS = 1200 if "MMRAW_EVERY_INSTRUCTION" in os.environ else 120
_ANSWER = 50
PACKAGE = str(Path(__file__).parent.parent / "mmraw_protocol")


def run(name: str, *arguments: str, **options: Any) -> Any:
    """What a program saw; it is killed by the watchdog where it hangs."""
    command = [sys.executable, __file__, name, *arguments]
    with tempfile.TemporaryFile() as file:
        done = subprocess.run(
            command,
            preexec_fn=lambda: os.dup2(file.fileno(), _ANSWER),
            close_fds=False,
            capture_output=True,
            timeout=WATCHDOG_SECONDS,
            **options,
        )
        file.seek(0)
        text = file.read()
    assert text, done.stderr.decode()[-2000:]
    return json.loads(text)


def answer(value: Any) -> None:
    os.write(_ANSWER, json.dumps(value).encode())


def png(side: int = 64) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((side, side), 50).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def flat(side: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def ref_of(data: bytes, name: str) -> Any:
    from mmraw_protocol import RawMMRef, get_adapter

    adapter = get_adapter("qwen_vl")
    found = adapter.describe(data)
    return RawMMRef(
        family="qwen_vl",
        fingerprint=adapter.fingerprint(),
        mm_hash=found.mm_hash,
        modality="image",
        payload=found.payload,
        raw_image_id=name,
        run_id="r",
    )


def works(folder: str) -> dict[str, Callable[[], Any]]:
    """The calls under test, each with a result that can be compared."""
    from mmraw_protocol import Materializer, open_store
    from mmraw_protocol.images.isolation import IsolatedDecoder
    from mmraw_protocol.materialize.cache import SingleFlightCache

    data = png()
    store = open_store(f"{folder}/store", run_id="r", durable=False)
    name = store.put(data)
    cached = open_store(
        f"{folder}/store", run_id="r", durable=False, cache_dir=f"{folder}/cache", cache_bytes=10**6
    )
    materializer = Materializer(store)
    ref = ref_of(data, name)
    decoder = IsolatedDecoder(processes=1)
    values: SingleFlightCache[int] = SingleFlightCache(100)
    # Larger than what is kept: each call makes it.
    unkept: SingleFlightCache[int] = SingleFlightCache(1)
    # What is imported at the first call is no part of what is tried.
    for warm in (cached.get(name), materializer.materialize(ref)):
        assert warm
    return {
        "cache": lambda: values.get("key", lambda: 7, lambda _: 10),
        "unkept": lambda: unkept.get("key", lambda: 7, lambda _: 10),
        "put": lambda: store.put(data) == name,
        "get": lambda: len(store.get(name)),
        "cached": lambda: len(cached.get(name)),
        "materialize": lambda: Materializer(store).materialize(ref).width,
        "materialized": lambda: materializer.materialize(ref).width,
        "decode": lambda: decoder.decode(data).width,
    }


class Points:
    """Stops a call at its n-th instruction in this package, for what `stop` does."""

    def __init__(self, number: int, stop: Callable[[], None]) -> None:
        self.left = number
        self._stop = stop

    def __enter__(self) -> "Points":
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                self._stop()
        return self._step


def interrupts(kind: str, step: str) -> None:
    """An interrupt at every `step`-th instruction; then another thread asks for the same."""
    with tempfile.TemporaryDirectory() as folder:
        work = works(folder)[kind]
        expected, number, wrong = work(), 1, list[Any]()
        while True:
            points = Points(number, _interrupt)
            held: BaseException | None = None
            try:
                with points:
                    work()
            except KeyboardInterrupt as error:
                # Held on purpose, with all frames that it went through.
                held = error
            if _from_another_thread(work) != expected:
                wrong.append(number)
                break
            if held is None and points.left > 0:
                break
            number += int(step)
        left = [path.name for path in Path(folder).rglob(".mmraw-*")]
    answer({"points": number // int(step), "wrong": wrong, "left": left})


def _interrupt() -> None:
    sys.settrace(None)
    raise KeyboardInterrupt


def _from_another_thread(work: Callable[[], Any], seconds: float = 20) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else "hung"


def forks(kind: str, step: str) -> None:
    """A fork while another thread stands at every `step`-th instruction; the child asks too."""
    with tempfile.TemporaryDirectory() as folder:
        work = works(folder)[kind]
        expected, number, wrong = work(), 1, list[Any]()
        while True:
            at, on = threading.Event(), threading.Event()

            def stop(at: threading.Event = at, on: threading.Event = on) -> None:
                at.set()
                on.wait()

            points = Points(number, stop)

            def body(points: Points = points, at: threading.Event = at) -> None:
                with points:
                    work()
                at.set()

            thread = threading.Thread(target=body)
            thread.start()
            at.wait()
            if points.left > 0:
                thread.join()
                break
            if _in_child(work) != expected:
                wrong.append(number)
            on.set()
            thread.join()
            number += int(step)
    answer({"points": number // int(step), "wrong": wrong})


def _in_child(work: Callable[[], Any], seconds: float = 20) -> Any:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.write(write, json.dumps(_from_another_thread(work, seconds)).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    text = os.read(read, 1 << 16)
    os.close(read)
    return json.loads(text) if text else "died"


def fork_with_threads(kind: str) -> None:
    """A fork while threads of a materializer are busy; the child uses the same object."""
    import asyncio

    from mmraw_protocol import Materializer, open_store

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder, run_id="r", durable=False)
        images = [png(700 + number) for number in range(8)]
        refs = [ref_of(data, store.put(data)) for data in images]
        materializer = Materializer(store)
        widths = [700 + number for number in range(8)]

        def widths_of(results: Any) -> list[Any]:
            return [getattr(one, "width", str(one)) for one in results]

        if kind == "many":
            results = materializer.materialize_many(refs, workers=3)
            first = widths_of([next(results)])
            seen = _in_child(lambda: first + widths_of(results))
            assert first + widths_of(results) == widths
        else:

            async def several() -> list[Any]:
                return widths_of(
                    await asyncio.gather(*[materializer.materialize_async(ref) for ref in refs])
                )

            thread = threading.Thread(target=lambda: asyncio.run(several()))
            thread.start()
            while not materializer._threads:
                time.sleep(0)
            seen = _in_child(lambda: asyncio.run(several()))
            thread.join()
    answer({"seen": seen, "expected": widths})


def started(method: str) -> None:
    """A materializer, a store with a cache and a decoder, handed to a process of each kind."""
    import multiprocessing

    from mmraw_protocol import Materializer, open_store
    from mmraw_protocol.images.isolation import IsolatedDecoder

    with tempfile.TemporaryDirectory() as folder:
        data = png()
        store = open_store(f"{folder}/a", run_id="r", cache_dir=f"{folder}/b", cache_bytes=10**6)
        name = store.put(data)
        ref = ref_of(data, name)
        materializer = Materializer(store, isolation="process")
        decoder = IsolatedDecoder(processes=1)
        # Used before, so that there is something to hand on.
        assert materializer.materialize(ref).width == decoder.decode(data).width
        with multiprocessing.get_context(method).Pool(1) as pool:
            seen = pool.apply(_use, (materializer, ref, store, name, decoder, data))
    answer(seen)


def _use(materializer: Any, ref: Any, store: Any, name: str, decoder: Any, data: bytes) -> Any:
    return [
        materializer.materialize(ref).width == 64,
        store.get(name) == data,
        decoder.decode(data).width == 64,
    ]


def closed(which: str) -> None:
    """Everything with some of the standard streams closed."""
    from mmraw_protocol import ImageSource, open_store
    from mmraw_protocol.images import decode_rgb, read_header

    data = png()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.png").write_bytes(data)
        for descriptor in which:
            os.close(int(descriptor))
        store = open_store(f"{folder}/store", cache_dir=f"{folder}/cache")
        name = store.put(data)
        seen = [
            read_header(data).width,
            decode_rgb(data).width,
            decode_rgb(data, isolation="process").width,
            len(ImageSource.open(f"{folder}/a.png").data) == len(data),
            store.get(name) == data,
            store.get(name) == data,
        ]
        free = {str(number) for number in range(3) if not _is_open(number)}
    answer({"seen": seen, "untouched": free == set(which)})


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
        return True
    except OSError:
        return False


def closed_workers(which: str) -> None:
    """Processes that share a file, with some of the standard streams closed."""
    from mmraw_protocol.files import ConvertJob, rewrite
    from mmraw_protocol.files.sharing import check_file

    name = "9c3fa26ef2eec6bae60e386221fd6121"
    ref = f"mmraw:v2:r:other:{name}:image:{name}:a.png:e30"
    data = json.dumps({"ref": ref}).encode() + b"\n"
    for descriptor in which:
        os.close(int(descriptor))
    # Above the streams, as files of the caller's are.
    file = os.fdopen(os.dup2(os.memfd_create("rows"), 40), "w+b")
    file.write(data * 20_000)
    file.seek(0)
    counts = check_file(file, processes=3, range_bytes=1 << 16, start_seconds=0).counts
    source, written = io.BytesIO(data * 20_000), list[int]()
    report = rewrite(source.read, lambda part: written.append(len(part)), ConvertJob(), processes=3)
    answer([counts, report.tally.changed, sum(written) > 0])


def low_descriptors() -> None:
    """What prints to a closed stream while an object is written must not end up in it."""
    from mmraw_protocol import open_store

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder, durable=False)
        for number in range(3):
            os.close(number)
        write = os.write

        def noisy(descriptor: int, data: Any) -> int:
            with contextlib.suppress(OSError):
                write(1, b"printed by other code")
            return write(descriptor, data)

        os.write = noisy
        data = png()
        name = store.put(data)
        os.write = write
        answer(store.get(name) == data)


def daemon() -> None:
    """Other code closes all descriptors, and opens files and folders of its own under them."""
    from mmraw_protocol import MMRawError, open_store
    from mmraw_protocol.images.isolation import IsolatedDecoder

    data, other = png(), png(65)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"{folder}/store")
        cached = open_store(f"{folder}/store", cache_dir=f"{folder}/cache")
        decoder = IsolatedDecoder(processes=1)
        decoder.decode(data)
        os.closerange(3, _ANSWER)
        os.makedirs(f"{folder}/theirs")
        theirs = []
        for number in range(20):
            path = f"{folder}/theirs/{number}"
            Path(path).write_bytes(b"precious")
            theirs.append(os.open(path, os.O_RDWR))
            theirs.append(os.open(f"{folder}/theirs", os.O_RDONLY))
        seen: list[Any] = []
        works = [
            partial(store.put, other),
            partial(_put_and_get, store, cached, data),
            partial(decoder.decode, data),
        ]
        for number in range(len(works)):
            try:
                found = works[number]()
                seen.append(getattr(found, "width", found))
            except MMRawError as error:
                seen.append(error.code)
        stored = sorted(path.name for path in Path(folder, "store").iterdir())
        decoder.close()
        works.clear()
        del store, cached, decoder
        kept = [Path(folder, "theirs", str(n)).read_bytes() == b"precious" for n in range(20)]
        names = len(os.listdir(f"{folder}/theirs"))
        alive = [_is_open(number) for number in theirs]
    answer({"seen": seen, "stored": stored, "kept": all(kept), "names": names, "open": all(alive)})


def grown(path: str) -> None:
    """By how many bytes decoding a file grows this process, with Pillow's limits out of the way."""
    from PIL import PngImagePlugin

    from mmraw_protocol import MMRawError
    from mmraw_protocol.images import decode_rgb

    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30
    data = Path(path).read_bytes()
    decode_rgb(png())
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    with contextlib.suppress(MMRawError):
        decode_rgb(data)
    answer(_memory("VmHWM") - before)


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


def _put_and_get(store: Any, cached: Any, data: bytes) -> bool:
    return cached.get(store.put(data)) == data


def limited(name: str, amount: str) -> None:
    """Decoding under a limit of the system: here, in a worker, and where memory decides."""
    import resource

    from mmraw_protocol import MMRawError
    from mmraw_protocol.images import decode_rgb, read_header

    data = png(400)
    limit = getattr(resource, name)
    resource.setrlimit(limit, (int(amount), resource.getrlimit(limit)[1]))
    seen: list[Any] = []
    for work in (
        lambda: read_header(data).width,
        lambda: decode_rgb(data).width,
        lambda: decode_rgb(data, isolation="process").width,
    ):
        try:
            seen.append(work())
        except MMRawError as error:
            seen.append(error.code)
    answer(seen)


def no_memory() -> None:
    """An image that is sound, in a process that has no memory left for it."""
    import resource

    from mmraw_protocol import MMRawError
    from mmraw_protocol.images import decode_rgb

    small, large = png(64), flat(5000)
    decode_rgb(small)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (8 << 20), hard))
    seen: list[Any] = []
    for isolation in ("off", "process"):
        try:
            seen.append(decode_rgb(large, isolation=isolation).width)
        except MMRawError as error:
            seen.append(error.code)
    answer(seen)


def application(frozen: str, name: str) -> None:
    """Decodes where sys.executable is an application that does the same."""
    from mmraw_protocol import MMRawError
    from mmraw_protocol.images import decode_rgb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(f"#!/bin/sh\necho started >> {folder}/starts\n")
        path.chmod(0o755)
        if frozen == "frozen":
            sys.frozen = True  # type: ignore[attr-defined]
        sys.executable = str(path)
        code = ""
        try:
            decode_rgb(png(), isolation="process")
        except MMRawError as error:
            code = error.code
        answer({"code": code, "started": Path(folder, "starts").exists()})


def odd_interpreter(kind: str) -> None:
    """Decodes where what starts a Python is odd."""
    from mmraw_protocol import MMRawError
    from mmraw_protocol.images import decode_rgb

    data: Any = png()
    if kind == "none":
        sys.executable = None  # type: ignore[assignment]
    elif kind == "empty":
        sys.executable = ""
    elif kind == "number":
        sys.executable = 7  # type: ignore[assignment]
    elif kind == "folder":
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
        sys.path.insert(0, "")
        sys.path.append("relative")
    elif kind == "path":
        entries: list[Any] = [None, 3, Path("x"), b"bytes", "\udc80", "nul\0", "/no/such"]
        sys.path += entries
    elif kind == "no path":
        sys.path = None  # type: ignore[assignment]
    try:
        seen: Any = decode_rgb(data, isolation="process").width
    except MMRawError as error:
        seen = error.code
    answer(seen)


def thrown(kind: str) -> None:
    """Other code throws into a thread that decodes: its exception goes on, no image is blamed."""
    from mmraw_protocol.images import decode_rgb

    class StoppedError(Exception):
        pass

    kinds = {"own": StoppedError, "timeout": TimeoutError, "plain": Exception}
    data, seen, decoded = png(1500), list[str](), threading.Event()

    def body() -> None:
        try:
            while True:
                decode_rgb(data, isolation="off")
                decoded.set()
        except Exception as error:  # noqa: BLE001
            seen.append(type(error).__name__)

    thread = threading.Thread(target=body)
    thread.start()
    decoded.wait()
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(kinds[kind]))
    thread.join()
    answer(seen == [kinds[kind].__name__])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
