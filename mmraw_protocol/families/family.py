"""The common part of all adapters: fingerprint, identity and the description of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from ..system.shown import Shown
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.ref import Payload
from .base import ImageDescription, Layout
from .fingerprint import layout_fingerprint

Config = TypeVar("Config", bound=msgspec.Struct)

#: Sides beyond are no image of any format; it keeps float arithmetic exact.
MAX_SIDE = 2**31 - 1


class FamilyAdapter(Shown, Generic[Config]):
    """One family under one configuration; a class of a family adds its layout and its payload.

    Args:
        config: The layout parameters: everything that changes the layout, and nothing else.
    """

    family: str

    def __init__(self, config: Config) -> None:
        self.config = config
        self._fingerprints: dict[str, str] = {}

    def _shown(self) -> Mapping[str, object]:
        return {"family": self.family, "identity": self.identity}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._state() == other._state()

    def __hash__(self) -> int:
        return hash((type(self), self.config))

    def _state(self) -> dict[str, Any]:
        """The state by which two adapters differ; it omits fingerprints, which follow from it."""
        return {name: value for name, value in vars(self).items() if name != "_fingerprints"}

    @property
    def identity(self) -> str:
        """Family and fingerprint."""
        return f"{self.family}:{self.fingerprint()}"

    def fingerprint(self, dialect: str = DEFAULT_DIALECT) -> str:
        """The fingerprint of this configuration in the scheme of `dialect`.

        Raises:
            MMRawError: invalid_dialect, not_convertible.
        """
        if dialect not in self._fingerprints:
            values = msgspec.structs.asdict(self.config)
            self._fingerprints[dialect] = layout_fingerprint(self.family, values, dialect)
        return self._fingerprints[dialect]

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels."""
        raise NotImplementedError

    def span(self, payload: Payload) -> list[str]:
        """The tokens that represent an image in the prompt, as texts: its pad tokens."""
        return [self.pad_token] * self.placeholder_length(payload)

    @property
    def pad_token(self) -> str:
        """The token that the placeholder consists of."""
        raise NotImplementedError

    def placeholder_length(self, payload: Payload) -> int:
        """Tokens that represent an image in the prompt."""
        raise NotImplementedError

    def describe(self, source: Any, *, limits: Limits = DEFAULT_LIMITS) -> ImageDescription:
        """Size, hash and layout of an image from its header alone.

        Args:
            source: An `ImageSource`, or what `ImageSource.open` takes.
            limits: Of the image's bytes, pixels, sides and aspect.

        Raises:
            MMRawError: the codes of images, multiple_frames, and those of `layout`.
        """
        from ..images import ImageSource

        image = ImageSource.open(source, limits=limits)
        header = image.header
        if header.frames != 1:
            raise MMRawError("multiple_frames", "expected an image of one frame, got an animation")
        layout = self.layout(header.width, header.height, limits=limits)
        if not layout.num_tokens:
            raise MMRawError("layout_refused", "the image is so thin that it becomes no token")
        return ImageDescription(
            width=header.width,
            height=header.height,
            format=header.format,
            sha256=image.sha256,
            mm_hash=image.mm_hash,
            grid_thw=layout.grid_thw,
            num_tokens=layout.num_tokens,
            placeholder_length=layout.placeholder_length,
            payload=layout.payload,
        )

    def check_size(self, width: int, height: int, limits: Limits) -> None:
        """Checks that both sides are integers from 1 to 2^31-1.

        Raises:
            MMRawError: invalid_type, invalid_value, limit_exceeded.
        """
        if type(width) is type(height) is int and 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE:
            return
        for name, side in (("width", width), ("height", height)):
            if type(side) is not int:
                raise MMRawError("invalid_type", expected("an integer", side), f"$.{name}")
            if side < 1:
                message = "expected at least one pixel, got less"
                raise MMRawError("invalid_value", message, f"$.{name}")
            if side > MAX_SIDE:
                message = f"expected at most {MAX_SIDE} pixels, got more"
                raise MMRawError("limit_exceeded", message, f"$.{name}")
