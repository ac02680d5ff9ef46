"""A decoded picture of a ref, as a server keeps it and as it hands it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from .identity import INFO, Name

if TYPE_CHECKING:
    from PIL.Image import Image


class Picture(msgspec.Struct, frozen=True):
    """A decoded picture that many requests share.

    Attributes:
        image: Mode RGB; never handed out itself.
        name: What the server files it under.
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

    def held_bytes(self) -> int:
        """Size of its pixels: Pillow keeps RGB in four bytes a pixel."""
        width, height = self.image.size
        return 4 * width * height
