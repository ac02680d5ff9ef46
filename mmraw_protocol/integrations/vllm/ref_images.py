"""The pictures of refs, verified and decoded, under an identity that is theirs alone."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ...families import Adapter
from ...materialize.awaited import AwaitedCache
from ...materialize.comparison import compare_fingerprint, compare_outer
from ...stores import AssetStore
from ...wire.hashes import sha256_hex
from ...wire.ref import RawMMRef
from .identity import INFO, Name, Naming
from .metrics import default_metrics
from .settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image


class Picture(msgspec.Struct, frozen=True):
    """A decoded picture that many requests share.

    Attributes:
        image: Mode RGB; never handed out itself.
        name: What vLLM files it under.
        family: Of its ref.
        inline: Whether its ref carries it.
    """

    image: Any
    name: Name
    family: str
    inline: bool

    def for_one_request(self) -> Image:
        """An image that shares these pixels until somebody changes it; then it gets its own."""
        image = self.image._new(self.image.im)
        image.readonly = 1
        image.info = {INFO: self.name}
        return cast("Image", image)


class RefImages:
    """Reads, verifies, decodes and keeps the pictures of refs under one model's layout.

    Args:
        adapter: The model's layout.
        settings: Store, limits, cache, decoding.
        naming: What vLLM files pictures under.

    Raises:
        MMRawError: what opening the store raises.
    """

    def __init__(self, adapter: Adapter, settings: Settings, naming: Naming) -> None:
        self.adapter = adapter
        self._naming = naming
        self.settings = settings
        self._materializer = settings.materializer(adapter)
        self._pictures: AwaitedCache[Picture] = AwaitedCache(settings.cache_size, settings.workers)

    def check(self, ref: RawMMRef, modality: str) -> None:
        """Whether a ref fits this server, as far as it goes without its bytes.

        Args:
            ref: The ref.
            modality: Under which it stands.

        Raises:
            MMRawError: modality_mismatch, run_mismatch, unknown_family, fingerprint_mismatch, and
                the codes of `Adapter.parse_payload`.
        """
        for expected in (modality, self.adapter.feature_modality):
            compare_outer(ref, None, expected)
        store = self._materializer.store
        if store is not None and not ref.is_inline:
            store.check_run(ref.run_id)
        adapter = self._materializer.adapter_for(ref.family)
        compare_fingerprint(ref, adapter)
        adapter.parse_payload(ref.payload)

    async def get(self, text: str) -> Image:
        """The picture of a ref; threads read and decode it, and only the event loop waits.

        Raises:
            MMRawError: what `Materializer.materialize` raises.
        """
        made: list[Picture] = []
        make = functools.partial(self._make, text, made)
        picture = await self._pictures.get(_key(text), make, _size)
        return self._counted(picture, made)

    def get_now(self, text: str) -> Image:
        """`get` in the calling thread.

        Raises:
            MMRawError: what `Materializer.materialize` raises.
        """
        made: list[Picture] = []
        make = functools.partial(self._make, text, made)
        picture = self._pictures.get_now(_key(text), make, _size)
        return self._counted(picture, made)

    @property
    def store(self) -> AssetStore | None:
        """Where stored pictures are."""
        return self._materializer.store

    @property
    def cached_bytes(self) -> int:
        """Bytes of decoded pictures that are kept."""
        return self._pictures.cached_bytes

    def close(self) -> None:
        """Ends threads and decoding processes."""
        self._pictures.close()
        self._materializer.close()

    def _make(self, text: str, made: list[Picture]) -> Picture:
        # A ref's text says everything that a check depends on besides these settings.
        with default_metrics().timed():
            found = self._materializer.materialize(text, modality=self.adapter.feature_modality)
            name = self._naming.name(found)
            made.append(Picture(found.picture, name, found.ref.family, found.ref.is_inline))
        return made[0]

    def _counted(self, picture: Picture, made: list[Picture]) -> Image:
        hit, kept = not made, self.cached_bytes
        default_metrics().image(picture.family, inline=picture.inline, hit=hit, cached=kept)
        return picture.for_one_request()


def _key(text: str) -> str:
    return sha256_hex(text.encode("utf-8", "backslashreplace"))


def _size(picture: Picture) -> int:
    # Pillow keeps RGB in four bytes a pixel.
    width, height = picture.image.size
    return 4 * width * height
