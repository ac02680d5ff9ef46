"""The pictures of refs, verified and decoded, under an identity that is theirs alone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ...conversation.request_urls import holds_ref
from ...families import Adapter
from ...families.served import item_names, misfit_of, trial_error
from ...images import read_header
from ...materialize import MaterializedImage
from ...materialize.awaited import AwaitedCache, in_thread
from ...materialize.comparison import compare_fingerprint, compare_outer
from ...wire._generated.errors import ErrorCode
from ...wire._generated.limits import DEFAULT_LIMITS
from ...wire.errors import MMRawError
from ...wire.hashes import sha256_hex
from ...wire.ref import RawMMRef, parse_ref
from .admission import FILES, Admission, Loads, busy, room_for
from .errors import REFS_ONLY
from .identity import Naming, naming_in_words
from .metrics import default_metrics
from .picture import Picture
from .settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image


#: Memory of one token if less was measured: 32x32 pixels of two frames, 3 channels of 16 bits.
_TOKEN_BYTES = 32 * 32 * 2 * 3 * 2
#: Steps of priority by which threads that read and decode stand behind the server's event loop.
_STEPS = 5


class RefImages:
    """Reads, verifies, decodes and keeps the pictures of refs under one model's layout.

    Args:
        adapter: The model's layout.
        settings: Store, limits, cache, decoding.
        naming: What the server files pictures under.
        engine: The server, `vllm` or `sglang`.

    Attributes:
        store: Where stored pictures are; None where there is no store.
        token_bytes: What the server's processor makes of an image, for each of its tokens.

    Raises:
        MMRawError: what opening the store raises.
    """

    def __init__(
        self, adapter: Adapter, settings: Settings, naming: Naming, engine: str = "vllm"
    ) -> None:
        self.adapter = adapter
        self._item_names = item_names(adapter.family, engine)
        self._naming = naming
        self.settings = settings
        self._materializer = settings.materializer(adapter)
        self.store = self._materializer.store
        self._pictures: AwaitedCache[Picture] = AwaitedCache(settings.cache_size)
        self._threads = ThreadPoolExecutor(settings.workers, "mmraw", _give_way)
        most = (settings.inflight_bytes, settings.inflight_images, settings.queue)
        self.admission = Admission(*most, default_metrics().in_flight)
        self.token_bytes = _TOKEN_BYTES

    def check(self, ref: RawMMRef, modality: str) -> None:
        """Checks that a ref fits this server, as far as that shows without its bytes.

        Args:
            ref: The ref.
            modality: Under which it stands.

        Raises:
            MMRawError: modality_mismatch, run_mismatch, unknown_family, fingerprint_mismatch, and
                the codes of `Adapter.parse_payload`.
        """
        for expected in (modality, self.adapter.feature_modality):
            compare_outer(ref, None, expected)
        if self.store is not None and not ref.is_inline:
            self.store.check_run(ref.run_id)
        adapter = self._materializer.adapter_for(ref.family)
        compare_fingerprint(ref, adapter)
        adapter.parse_payload(ref.payload)

    def check_room(self, most_tokens: int) -> None:
        """Checks that the largest image that the limits allow can be read at all.

        Args:
            most_tokens: Of a prompt.

        Raises:
            MMRawError: unsupported_option.
        """
        limits = self.settings.limits
        side = min(math.isqrt(limits.image_pixels), limits.image_side)
        tokens = most_tokens
        with contextlib.suppress(MMRawError):
            tokens = min(tokens, self.adapter.layout(side, side).num_tokens)
        self.settings.check_room(self.token_bytes * tokens)

    def misfit(
        self, size: tuple[int, int], said: Mapping[str, Any], tokens: int
    ) -> tuple[ErrorCode, str] | None:
        """Returns how the server's processor deviates from an image's layout; None if it does not.

        Args:
            size: The image's width and height.
            said: What the processor says of it, by name.
            tokens: How many tokens the processor gives it.
        """
        layout = self.adapter.layout(*size, limits=self.settings.limits)
        return misfit_of(said, self._item_names, tokens, layout)

    def check_trial(
        self, size: tuple[int, int], said: Mapping[str, Any], tokens: int, taken: int
    ) -> None:
        """Compares what the server's processor makes of a trial image, and learns its size.

        Args:
            size: As `misfit` has it; so are the next two.
            said: What the processor says of the image.
            tokens: Their count.
            taken: Bytes of what the processor makes of the image.

        Raises:
            MMRawError: grid_mismatch, placeholder_mismatch.
        """
        if misfit := self.misfit(size, said, tokens):
            raise trial_error(misfit, size)
        self.token_bytes = max(self.token_bytes, -(-taken // tokens))

    def checked(self, text: str, path: str = "$") -> RawMMRef:
        """A ref of the model's images, parsed and checked.

        Args:
            text: The ref.
            path: Where it stands.

        Raises:
            MMRawError: what `parse_ref` and `check` raise.
        """
        failed: MMRawError | None = None
        try:
            ref = parse_ref(text, limits=self.settings.limits)
            self.check(ref, self.adapter.feature_modality)
            return ref
        except MMRawError as error:
            failed = error
        raise failed.with_path_prefix(path)

    def check_other(self, item: Any, path: str = "$") -> None:
        """Checks that the server itself may load what is no ref; None is nothing to load.

        Args:
            item: As the request has it.
            path: Where it stands.

        Raises:
            MMRawError: invalid_type (a ref stands in it, which the server would repeat in its own
                error), not_a_ref (the server takes refs only).
        """
        if holds_ref(item):
            message = "expected a ref as a string, or under url or image; got it in another form"
            raise MMRawError("invalid_type", message, path)
        if item is not None and self.settings.refs_only:
            raise MMRawError("not_a_ref", REFS_ONLY, path)

    def check_total(self, refs: Collection[RawMMRef], most_tokens: int | None) -> None:
        """Refuses as many images or tokens as the server would refuse after reading them.

        Raises:
            MMRawError: limit_exceeded.
        """
        most = self.settings.limits.features_images
        if len(refs) > most:
            message = f"expected at most {most} images in a request, got {len(refs)}"
            raise MMRawError("limit_exceeded", message)
        total = sum(self.adapter.num_tokens(ref.payload) for ref in refs)
        if most_tokens is not None and total > most_tokens:
            message = f"expected at most {most_tokens} tokens of images, got {total}"
            raise MMRawError("limit_exceeded", message)

    async def get(self, text: str, loads: Loads) -> Image:
        """The picture of a ref; threads read and decode it, and only the event loop waits.

        One that is kept is given at once.

        Raises:
            MMRawError: what `Materializer.materialize` raises, limit_exceeded (more than all
                requests may hold), server_unavailable (too many wait, or it took too long).
        """
        key, made = _key(text), list[Picture]()
        picture = self._pictures.find(key)
        if picture is None:
            make = functools.partial(self._made, text, loads, made)
            wanted = functools.partial(self._pictures.get, key, make, Picture.held_bytes)
            picture = await loads.load(functools.partial(self._in_time, wanted))
        return self._counted(picture, made)

    async def get_all(self, texts: Mapping[int, str], loads: Loads) -> dict[int, Image]:
        """The pictures of a request's refs, by their places among its images.

        Raises:
            MMRawError: what `get` raises, with the path of the first image that is refused.
        """
        waiting = [self.get(text, loads) for text in texts.values()]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        for index, picture in zip(texts, found, strict=True):
            if isinstance(picture, MMRawError):
                raise picture.with_path_prefix(f"$.images[{index}]")
            if isinstance(picture, BaseException):
                raise picture
        return cast("dict[int, Image]", dict(zip(texts, found, strict=True)))

    async def _in_time(self, wanted: Any) -> Picture:
        try:
            return await asyncio.wait_for(wanted(), self.settings.image_seconds)
        except asyncio.TimeoutError:
            pass
        raise busy("an image took longer than MMRAW_IMAGE_SECONDS, waiting for others included")

    def get_now(self, text: str) -> Image:
        """`get` in the calling thread.

        Raises:
            MMRawError: what `Materializer.materialize` raises.
        """
        made: list[Picture] = []
        make = functools.partial(self._make, text, made)
        picture = self._pictures.get_now(_key(text), make, Picture.held_bytes)
        return self._counted(picture, made)

    @property
    def cached_bytes(self) -> int:
        """Bytes of decoded pictures that are kept."""
        return self._pictures.cached_bytes

    def facts(self) -> dict[str, object]:
        """Returns the facts for a server's log at the start; they include no secret."""
        settings = self.settings
        limits, usual = (
            msgspec.structs.asdict(given) for given in (settings.limits, DEFAULT_LIMITS)
        )
        return {
            "family": self.adapter.family,
            "fingerprint": self.adapter.fingerprint(),
            "store": self.store,
            "limits": {n: most for n, most in limits.items() if most != usual[n]} or "usual",
            "cache_bytes": settings.cache_size,
            "identity": naming_in_words(settings),
            "epoch": settings.epoch or "-",
        }

    def close(self) -> None:
        """Ends threads and decoding processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._materializer.close()

    async def _made(self, text: str, loads: Loads, made: list[Picture]) -> Picture:
        """Reads and decodes a picture when there is room for both."""
        budget, held = self.admission.bytes, 0
        try:
            with default_metrics().timed():
                with loads.reading(budget):
                    async with loads.few, self.admission.slot():
                        # The length of a stored file is known only when it is read.
                        first = min(self.settings.limits.inline_image_bytes, budget.most // FILES)
                        await budget.take(first)
                        held = first
                        read = functools.partial(self._measured, text)
                        ref, data, need, kept = await in_thread(self._threads, read)
                        held = min(first, len(data))
                        budget.give(first - held)
                await loads.room(need - held, budget)
                held = need
                async with self.admission.slot(is_begun=True):
                    decode = functools.partial(self._materializer.decode, ref, data)
                    image = await in_thread(self._threads, decode)
            held -= loads.keep(kept, budget)
        finally:
            budget.give(held)
        made.append(self._picture(image))
        return made[0]

    def _read(self, text: str) -> tuple[RawMMRef, bytes]:
        ref, data = self._materializer.read(text, modality=self.adapter.feature_modality)
        if not ref.is_inline:
            default_metrics().read(len(data))
        return ref, data

    def _measured(self, text: str) -> tuple[RawMMRef, bytes, int, int]:
        """A file, and what its picture takes while it is decoded and until it is processed."""
        ref, data = self._read(text)
        try:
            header = read_header(data, limits=self.settings.limits)
        except MMRawError:
            return ref, data, len(data), 0  # refused in its turn, without its pixels
        processed = self.token_bytes * self.adapter.num_tokens(ref.payload)
        decoding, kept = room_for(header.width * header.height, processed)
        return ref, data, len(data) + decoding, kept

    def _make(self, text: str, made: list[Picture]) -> Picture:
        # A ref's text says everything that a check depends on besides these settings.
        with default_metrics().timed():
            made.append(self._picture(self._materializer.decode(*self._read(text))))
        return made[0]

    def _picture(self, image: MaterializedImage) -> Picture:
        ref = image.ref
        return Picture(image.picture, self._naming.name(image), ref.family, ref.is_inline)

    def _counted(self, picture: Picture, made: list[Picture]) -> Image:
        hit, kept = not made, self.cached_bytes
        default_metrics().image(picture.family, inline=picture.inline, hit=hit, cached=kept)
        return picture.for_one_request()


def _give_way() -> None:
    """Puts a thread behind the event loop, which must not wait for the decoding of images."""
    # Other systems have no priority for a single thread.
    if sys.platform == "linux":
        os.nice(_STEPS)


def _key(text: str) -> str:
    return sha256_hex(text.encode("utf-8", "backslashreplace"))
