"""A verified and decoded image."""

from __future__ import annotations

from collections.abc import Mapping

from ..families import Adapter
from ..images import DecodedImage
from ..wire.hashes import sha256_hex
from ..wire.ref import RawMMRef


class MaterializedImage(DecodedImage, frozen=True, kw_only=True):
    """A verified and decoded image: a `DecodedImage` and what it was compared with.

    Attributes:
        ref: The ref it came from.
        sha256: 64 hex digits over the encoded bytes.
        placeholder_length: Tokens that represent the image in the prompt.
        adapter: The adapter whose layout was compared.
    """

    ref: RawMMRef
    sha256: str
    placeholder_length: int
    adapter: Adapter

    def _shown(self) -> Mapping[str, object]:
        size = f"{self.width}x{self.height}"
        found = {"family": self.ref.family, "run_id": self.ref.run_id, "sha256": self.sha256}
        return {"size": size, "format": self.format, **found, "held_bytes": self.held_bytes}

    def __hash__(self) -> int:
        return hash((self.sha256, self.placeholder_length))

    @property
    def rgb_sha256(self) -> str:
        """64 hex digits over `rgb`."""
        return sha256_hex(self.rgb)

    def _repr_html_(self) -> str:
        """Returns the HTML that a notebook shows."""
        from .notebook import image_html

        found = {"tokens": self.placeholder_length, "sha256": self.sha256}
        return image_html(self, self.ref, self.adapter, **found)
