"""Programs that interrupt and fork at any instruction, and those that hand objects on."""

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from process_programs import answer, png, ref_of

PACKAGE = str(Path(__file__).parent.parent / "mmraw_protocol")


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
    # Imports at the first call are no part of what is tried.
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
