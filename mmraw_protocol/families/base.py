"""The interface and the results of adapters."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import msgspec

from ..system.shown import Shown
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.ref import Payload
from .grid import Grid

#: Under which key models take grids, if a family does not say.
GRID_KEY = "image_grid_thw"

Size = tuple[int, int]


class Layout(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """The layout of an image of some size.

    Attributes:
        grid_thw: [t, h, w] in patches.
        num_tokens: Tokens that the image becomes in the model.
        placeholder_length: Tokens that represent it in the prompt.
        payload: The family's payload.
        resized: (width, height) in pixels that the processor resizes (and pads) to.
        content: (width, height) in pixels that the picture fills of it, from the top left.
    """

    grid_thw: Grid
    num_tokens: int
    placeholder_length: int
    payload: Payload
    resized: Size
    content: Size

    def __hash__(self) -> int:
        # A payload may be a JSON object, which has no hash.
        return hash((tuple(self.grid_thw), self.num_tokens, self.placeholder_length))


class ImageDescription(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """All that a renderer needs to know of one image; pixels were not decoded.

    Attributes:
        width, height: In pixels, as stored in the file; EXIF is not applied.
        format: png, jpeg, webp or gif.
        sha256: 64 hex digits over the encoded bytes.
        mm_hash: The first 32 of them.
        grid_thw, num_tokens, placeholder_length, payload: As in `Layout`.
    """

    width: int
    height: int
    format: str
    sha256: str
    mm_hash: str
    grid_thw: Grid
    num_tokens: int
    placeholder_length: int
    payload: Payload

    def __hash__(self) -> int:
        return hash((self.sha256, tuple(self.grid_thw), self.placeholder_length))


@runtime_checkable
class Adapter(Protocol):
    """One family under one configuration. New families implement this and register themselves."""

    @property
    def family(self) -> str:
        """The family's name in refs and envelopes."""
        ...

    @property
    def feature_modality(self) -> str:
        """The modality under which the inference server files the image."""
        ...

    @property
    def pad_token(self) -> str:
        """The token that the placeholder consists of."""
        ...

    @property
    def identity(self) -> str:
        """Tells two configurations of one family apart (fingerprint and options)."""
        ...

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels."""
        ...

    def describe(self, source: Any, *, limits: Limits = DEFAULT_LIMITS) -> ImageDescription:
        """Size, hash and layout of an image from its header alone."""
        ...

    def fingerprint(self, dialect: str = DEFAULT_DIALECT) -> str:
        """The fingerprint of this configuration in the scheme of `dialect`."""
        ...

    def parse_payload(self, payload: Any) -> Payload:
        """The family's payload, checked under this configuration."""
        ...

    def grid_thw(self, payload: Payload) -> Grid:
        """The grid that a payload names."""
        ...

    def num_tokens(self, payload: Payload) -> int:
        """Tokens that an image of this payload becomes."""
        ...

    def placeholder_length(self, payload: Payload) -> int:
        """Tokens that represent it in the prompt."""
        ...

    def span(self, payload: Payload) -> list[str]:
        """The tokens that represent it in the prompt, as texts; `placeholder_length` of them."""
        ...

    def prompt_text(self, payload: Payload) -> str:
        """The text that represents it in the prompt."""
        ...
