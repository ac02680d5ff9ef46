"""Values that many wait for on one event loop: a thread belongs to a value and not to who waits."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mmraw_protocol import MMRawError
from mmraw_protocol.images.isolation import IsolatedDecoder
from mmraw_protocol.materialize.awaited import AwaitedCache, in_thread


class Making:
    """Values whose making in threads can be held up, counted."""

    def __init__(self, threads: int = 1) -> None:
        self.pool = ThreadPoolExecutor(threads)
        self.gate = threading.Event()
        self.made: list[str] = []

    def of(self, key: str, value: Any = None) -> Any:
        """Makes the value of a key when the gate is open."""

        def make() -> Any:
            self.made.append(key)
            assert self.gate.wait(30)
            if isinstance(value, MMRawError):
                raise value
            return key if value is None else value

        return lambda: in_thread(self.pool, make)


def test_many_who_want_one_picture_take_one_thread() -> None:
    slow, quick = Making(), Making()
    quick.gate.set()
    pictures: AwaitedCache[str] = AwaitedCache(1000)

    async def all_of_them() -> list[str]:
        waiting = [asyncio.create_task(pictures.get("a", slow.of("a"), len)) for _ in range(64)]
        await asyncio.sleep(0)
        # The other thread is free for another picture.
        assert await asyncio.wait_for(pictures.get("b", quick.of("b"), len), 20) == "b"
        slow.gate.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(all_of_them()) == ["a"] * 64
    assert slow.made == ["a"]


def test_a_kept_picture_waits_for_no_other() -> None:
    making = Making()
    making.gate.set()
    pictures: AwaitedCache[str] = AwaitedCache(1000)

    async def beside_a_slow_one() -> str:
        await pictures.get("kept", making.of("kept"), len)
        making.gate.clear()
        slow = asyncio.create_task(pictures.get("slow", making.of("slow"), len))
        await asyncio.sleep(0)
        found = await pictures.get("kept", making.of("kept"), len)
        assert not slow.done()
        making.gate.set()
        await slow
        return found

    assert asyncio.run(beside_a_slow_one()) == "kept"
    assert making.made == ["kept", "slow"]


def test_who_leaves_takes_nothing_from_others_and_what_nobody_wants_is_not_begun() -> None:
    making = Making()
    pictures: AwaitedCache[str] = AwaitedCache(1000)

    async def some_leave() -> list[str]:
        # The one thread is at `a`; the others are queued.
        kept, left = (
            [asyncio.create_task(pictures.get(key, making.of(key), len)) for key in keys]
            for keys in ("ab", "abc")
        )
        await asyncio.sleep(0)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        making.gate.set()
        found = await asyncio.gather(*kept)
        return [*found, await pictures.get("d", making.of("d"), len)]

    assert asyncio.run(some_leave()) == ["a", "b", "d"]
    assert making.made == ["a", "b", "d"]


def test_each_who_waited_for_a_refused_picture_gets_an_error_of_its_own() -> None:
    making = Making()
    pictures: AwaitedCache[str] = AwaitedCache(1000)
    refused = MMRawError("image_undecodable", "broken")

    async def both() -> list[Any]:
        making.gate.clear()
        wanted = [
            asyncio.create_task(pictures.get("a", making.of("a", refused), len)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        making.gate.set()
        return await asyncio.gather(*wanted, return_exceptions=True)

    one, other = asyncio.run(both())
    assert (str(one), one is other) == (str(other), False)
    asyncio.run(both())
    assert making.made == ["a", "a"]


def test_a_worker_that_decodes_what_nobody_wants_any_more_is_ended() -> None:
    decoder = IsolatedDecoder(processes=1, seconds=40, decoder="isolation_faults:decode")
    began = threading.Semaphore(0)

    def decode() -> Any:
        began.release()
        return decoder.decode(b"loop")

    async def leave() -> None:
        # One decodes, the other waits for the worker.
        with ThreadPoolExecutor(2) as pool:
            tasks = [asyncio.create_task(in_thread(pool, decode)) for _ in range(2)]
            for _ in tasks:
                await asyncio.to_thread(began.acquire)
            for task in tasks:
                task.cancel()
            assert all(
                isinstance(found, asyncio.CancelledError)
                for found in await asyncio.gather(*tasks, return_exceptions=True)
            )

    with decoder:
        worker = decoder.decode(b"pid").width
        start = time.monotonic()
        asyncio.run(leave())
        assert time.monotonic() - start < 20
        assert decoder.decode(b"pid").width != worker
