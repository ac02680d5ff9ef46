"""A processor that lays images out by their headers alone, for renderers that ask one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from PIL import Image

from ..families import Adapter, Layout
from ..families.own_layout import with_parameters
from ..families.readings import answers_of, reading_of
from ..images import ImageSource
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError


class SizedImage(Image.Image):
    """An image's size in place of its pixels: what a renderer hands on to `LayoutProcessor`.

    Its bytes are the image's sha256, so that a renderer that caches by pixels caches by content.
    """

    def __init__(self, source: ImageSource, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.source = source
        #: Layout parameters of this image alone.
        self.parameters = parameters or {}
        self._wh = (source.header.width, source.header.height)

    @property
    def mode(self) -> str:
        """Always RGB: renderers convert every other mode, for which they need pixels."""
        return "RGB"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as stored in the file; EXIF is not applied."""
        return self._wh

    def tobytes(self, encoder_name: str = "raw", *args: Any) -> bytes:
        """The sha256 of the encoded image, as text, and its own layout parameters."""
        own = [f"{name}={value}" for name, value in sorted(self.parameters.items())]
        return ":".join([self.source.sha256, *own]).encode("ascii")

    def load(self) -> Any:
        """Refuses: there are no pixels.

        Raises:
            MMRawError: unsupported_option.
        """
        message = "a SizedImage has no pixels; give the renderer a LayoutProcessor"
        raise MMRawError("unsupported_option", message)


class LayoutImageProcessor:
    """An image processor that answers what the family's own does, without any pixels.

    What that is, and under which names, is data of the family. It is called as image processors of
    Transformers are, and as the one of Kimi is (`preprocess` with `{"type": "image", "image":
    picture}`, `media_tokens_calculator`).
    """

    def __init__(self, adapter: Adapter, limits: Limits = DEFAULT_LIMITS) -> None:
        self.adapter = adapter
        self.limits = limits
        self.merge_size = int(getattr(adapter, "merge_size", 2))
        self._answers = answers_of(adapter.family)

    def layout(self, image: Any) -> Layout:
        """The layout of a picture, or of the picture in `{"type": "image", "image": picture}`.

        Raises:
            MMRawError: what `with_parameters` and the adapter's `layout` raise.
        """
        picture = cast("Any", image["image"] if isinstance(image, Mapping) else image)
        width, height = picture.size
        adapter = with_parameters(self.adapter, getattr(picture, "parameters", {}))
        return adapter.layout(width, height, limits=self.limits)

    def preprocess(self, images: Any, return_tensors: str = "np", **_: Any) -> dict[str, Any]:
        """The processor's answers: int64, one row for each picture; pixels are of shape (0,)."""
        many = isinstance(images, (list, tuple))
        pictures = cast("Sequence[Any]", images) if many else [images]
        layouts = [self.layout(picture) for picture in pictures]
        return {name: _answer(reading, layouts) for name, reading in self._answers.items()}

    __call__ = preprocess

    def media_tokens_calculator(self, image: Any) -> int:
        """The tokens that a picture becomes in the model."""
        return self.layout(image).num_tokens


def _answer(reading: str | None, layouts: Sequence[Layout]) -> Any:
    numpy: Any = import_module("numpy")
    if reading is None:
        return numpy.zeros((0,), dtype=numpy.float32)
    return numpy.array([reading_of(reading, layout) for layout in layouts], dtype=numpy.int64)


class LayoutProcessor:
    """A `processor=` for renderers that only computes layouts.

    Args:
        adapter: The family and its configuration, the checkpoint's own.
        limits: Of grids and of the image's aspect.
    """

    def __init__(self, adapter: Adapter, limits: Limits = DEFAULT_LIMITS) -> None:
        self.image_processor = LayoutImageProcessor(adapter, limits)
