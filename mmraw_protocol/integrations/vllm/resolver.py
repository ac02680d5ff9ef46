"""From the refs of one request to what the engine takes; everything that blocks is in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

from ...conversation.placeholders import check_spans, span_texts
from ...materialize import MaterializedImage, Materializer
from ...materialize.cache import SingleFlightCache
from ...system.forks import forget_after_fork
from ...wire.check import key_in_path
from ...wire.errors import MMRawError
from ...wire.features import Slot
from .metrics import Metrics

Item = TypeVar("Item")


class ItemMaker(Protocol[Item]):
    """What turns pixels into the engine's item; called from worker threads."""

    def make(self, image: MaterializedImage) -> Item:
        """The item of an image."""
        ...

    def size(self, item: Item) -> int:
        """Bytes that an item holds."""
        ...

    def text(self, item: Item) -> str:
        """What stands for the item in the body that vLLM gets."""
        ...

    def discard(self, texts: Sequence[str]) -> None:
        """The request of these texts is over."""
        ...


class Resolver(Generic[Item]):
    """Checks, decodes and processes the images of requests.

    Args:
        materializer: Runs the checks and decodes; without a cache of its own.
        maker: Makes the engine's items.
        pad_ids: The id of each family's pad token in the server's tokenizer.
        cache_bytes: Most bytes of items to keep; 0 for none.
        workers: Threads.
        metrics: Counts what happens.
    """

    def __init__(
        self,
        materializer: Materializer,
        maker: ItemMaker[Item],
        *,
        pad_ids: Mapping[str, int],
        cache_bytes: int,
        workers: int,
        metrics: Metrics,
    ) -> None:
        self._materializer = materializer
        self._maker = maker
        self._pad_ids = dict(pad_ids)
        self._cache: SingleFlightCache[Item] = SingleFlightCache(cache_bytes)
        self._workers = workers
        self._metrics = metrics
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """Starts without threads: they belong to one process."""
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="mmraw")

    async def resolve(self, slots: Sequence[Slot], token_ids: Sequence[int]) -> list[str]:
        """The texts that replace the refs, in their order. Hand them to `discard` in the end.

        Every image is tried; where several are refused, the first one's error counts.

        Raises:
            MMRawError: what `Materializer.materialize` raises, placeholder_invalid, span_mismatch;
                with the image's path.
        """
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(self._pool, self._text, slot, token_ids) for slot in slots]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        texts = [result for result in results if isinstance(result, str)]
        if failed:
            self.discard(texts)
            raise failed[0]
        return texts

    def discard(self, texts: Sequence[str]) -> None:
        """Frees what a request's texts stand for; the request is over."""
        self._maker.discard(texts)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _text(self, slot: Slot, token_ids: Sequence[int]) -> str:
        failed: MMRawError | None = None
        try:
            item = self._item(slot)
            family = slot.ref.family
            adapter = self._materializer.adapter_for(family)
            spans = [span_texts(family, slot.ref.payload, adapter)]
            pad_id = self._pad_ids[family]
            check_spans(token_ids, [slot.placeholder], pad_token_id=pad_id, spans=spans)
            return self._maker.text(item)
        except MMRawError as error:
            failed = error
        place = f"$.kwargs_data{key_in_path(slot.modality)}[{slot.index}]"
        # The path within one slot says nothing that its place does not.
        in_slot = "$" if failed.path.startswith("$.mm_placeholders") else failed.path
        raise MMRawError(failed.code, failed.message, in_slot).at(place)

    def _item(self, slot: Slot) -> Item:
        beside: dict[str, Any] = {
            "mm_hash": slot.mm_hash,
            "modality": slot.modality,
            "placeholder_length": slot.placeholder.length,
        }
        made = False

        def make() -> Item:
            nonlocal made
            made = True
            with self._metrics.timed():
                image = self._materializer.materialize(slot.ref, **beside)
                _check_convention(image)
                return self._maker.make(image)

        key = self._materializer.cache_key(slot.ref, **beside)
        item = self._cache.get(key, make, self._maker.size)
        ref, kept = slot.ref, self._cache.size
        self._metrics.image(ref.family, inline=ref.is_inline, hit=not made, cached=kept)
        return item


def _check_convention(image: MaterializedImage) -> None:
    """The placeholder has the length of the server's own convention.

    A family may allow others, which the engine cannot serve: it embeds one vector at each token.
    """
    if image.placeholder_length != image.adapter.placeholder_length(image.ref.payload):
        message = "the server takes one placeholder token for each token of the image"
        raise MMRawError("placeholder_mismatch", message, "$.placeholder_length")
