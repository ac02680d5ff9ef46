"""mm_refs: the images of a rollout by their URLs, refs among them, and where their tokens are.

Source: spec/README.md, section "Refs as URLs"; schemas urn:mmraw:mm-refs:v1 and
urn:mmraw:mm-refs-array:v1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..system.shown import Shown
from ._generated.checks import check_mm_refs, check_mm_refs_array
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import PlaceholderRange
from .errors import MMRawError
from .image_urls import ImageUrl, check_bounds, check_slots, document_of, read_url, ref_reader

if TYPE_CHECKING:
    from .ref_memory import RefMemory

__all__ = ["MmRefs", "PlacedImage", "parse_mm_refs"]

_WHAT = "mm_refs"


class PlacedImage(ImageUrl, frozen=True, kw_only=True):
    """One image of a rollout.

    Attributes:
        offset, length: Its span in the expanded prompt, as the server answered it.
    """

    offset: int
    length: int

    def __hash__(self) -> int:
        return super().__hash__()

    @property
    def placeholder(self) -> PlaceholderRange:
        """Its span."""
        return PlaceholderRange(length=self.length, offset=self.offset)


class MmRefs(Shown, msgspec.Struct, frozen=True):
    """Checked refs of a rollout: the images in the order of the prompt."""

    images: list[PlacedImage]

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The object form as builtins."""
        return {
            "images": [
                {"length": image.length, "offset": image.offset, "url": image.url}
                for image in self.images
            ]
        }

    def to_list(self) -> list[list[list[Any]]]:
        """The array form as builtins."""
        return [[[image.url, image.offset, image.length] for image in self.images]]


def parse_mm_refs(
    value: Mapping[str, Any] | Sequence[Any] | msgspec.Struct | str | bytes | MmRefs,
    *,
    limits: Limits = DEFAULT_LIMITS,
    memory: RefMemory | None = None,
) -> MmRefs:
    """Reads the `mm_refs` of a rollout, and the refs in them.

    Args:
        value: `{"images": [{"url", "offset", "length"}]}` or `[[[url, offset, length], ...]]`:
            decoded, as JSON text, as MessagePack, or structs that are encoded so.
        limits: features_images and features_bytes, as of a features body; those of refs.
        memory: Spares reading refs again that earlier turns of a conversation carried.

    Raises:
        MMRawError: modality_unsupported (a ref of a video or audio), missing_slot, limit_exceeded,
            placeholder_invalid (spans that overlap or are not in the order of the prompt), what
            the schemas say, and the codes of refs, with the path of the image in the form that
            was given.
    """
    given: Any = value.to_dict() if isinstance(value, MmRefs) else value
    rows, path_of = _rows(document_of(given, limits, _WHAT, packed=True), limits)
    check_bounds([url for url, _, _ in rows], limits, _WHAT)
    read = ref_reader(limits, memory)
    images: list[PlacedImage] = []
    end = 0
    for index, (url, offset, length) in enumerate(rows):
        if offset < end:
            message = "expected spans in the order of the prompt without overlap, got another order"
            raise MMRawError("placeholder_invalid", message, path_of(index))
        end = offset + length
        kind, ref = read_url(url, read, path_of(index, "url"))
        images.append(
            PlacedImage(index=index, url=url, url_kind=kind, ref=ref, offset=offset, length=length)
        )
    return MmRefs(images)


def _rows(document: Any, limits: Limits) -> tuple[list[tuple[str, int, int]], Callable[..., str]]:
    """(url, offset, length) of each image, and the path of an image or of its URL."""
    if isinstance(document, list):
        lists = cast("list[Any]", document)
        if len(lists) == 1:
            check_slots(lists[0], "$[0]")
        check_mm_refs_array(lists, "$", limits)
        return lists[0], _path_in_array
    if isinstance(document, dict):
        check_slots(cast("dict[str, Any]", document).get("images"), "$.images")
    check_mm_refs(document, "$", limits)
    images = cast("list[dict[str, Any]]", document["images"])
    return [(row["url"], row["offset"], row["length"]) for row in images], _path_in_object


def _path_in_array(index: int, field: str = "") -> str:
    return f"$[0][{index}][0]" if field else f"$[0][{index}]"


def _path_in_object(index: int, field: str = "") -> str:
    return f"$.images[{index}].{field}" if field else f"$.images[{index}]"
