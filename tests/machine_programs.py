"""Programs that meet faults of the machine, closed descriptors and odd interpreters."""

import contextlib
import ctypes
import io
import json
import os
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

from process_programs import ANSWER, answer, flat, png


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
    from mmraw_protocol.files import ConvertJob, check, rewrite

    name = "9c3fa26ef2eec6bae60e386221fd6121"
    ref = f"mmraw:v2:r:other:{name}:image:{name}:a.png:e30"
    data = json.dumps({"ref": ref}).encode() + b"\n"
    for descriptor in which:
        os.close(int(descriptor))
    # Above the streams, as files of the caller's are.
    file = os.fdopen(os.dup2(os.memfd_create("rows"), 40), "w+b")
    file.write(data * 20_000)
    file.seek(0)
    counts = check(file.read, processes=2, block=1 << 16, start_seconds=0).counts
    source, written = io.BytesIO(data * 20_000), list[int]()
    report = rewrite(
        source.read,
        lambda part: written.append(len(part)),
        ConvertJob(),
        processes=2,
        start_seconds=0,
    )
    answer([counts, report.changed, sum(written) > 0])


def low_descriptors() -> None:
    """Output to a closed stream while an object is written must not end up in the object."""
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
        os.closerange(3, ANSWER)
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
