"""A verified and decoded image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from ..families import Adapter
from ..system.shown import Shown
from ..wire.hashes import sha256_hex
from ..wire.ref import RawMMRef

if TYPE_CHECKING:
    from PIL.Image import Image


class MaterializedImage(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """A verified and decoded image.

    Attributes:
        ref: The ref it came from.
        width, height: In pixels.
        format: png, jpeg, webp or gif.
        sha256: 64 hex digits over the encoded bytes.
        rgb: The pixels, row by row, three bytes each; `image` makes a PIL image of them.
        placeholder_length: Tokens that stand for the image in the prompt.
        adapter: The adapter whose layout was compared.
    """

    ref: RawMMRef
    width: int
    height: int
    format: str
    sha256: str
    rgb: bytes
    placeholder_length: int
    adapter: Adapter

    def _shown(self) -> Mapping[str, object]:
        size = f"{self.width}x{self.height}"
        found = {"family": self.ref.family, "run_id": self.ref.run_id, "sha256": self.sha256}
        return {"size": size, "format": self.format, **found, "rgb": self.rgb}

    def __hash__(self) -> int:
        return hash((self.sha256, self.placeholder_length))

    @property
    def image(self) -> Image:
        """A PIL image of mode RGB; each call gives its own, which may be changed freely."""
        from ..images.header import pillow

        return cast("Image", pillow().frombytes("RGB", (self.width, self.height), self.rgb))

    @property
    def rgb_sha256(self) -> str:
        """64 hex digits over `rgb`."""
        return sha256_hex(self.rgb)
