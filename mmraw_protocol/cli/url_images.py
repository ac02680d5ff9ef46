"""Images that a document names by URLs: in content parts, in mm_refs, or in messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from ..conversation.image_refs import content_parts
from ..conversation.url_conversion import wire_length
from ..files.validation import ListKind, list_kind
from ..wire._generated.messages import ANSWERS, CONVERSATIONS
from ..wire.content_parts import ContentImage, parse_content_parts
from ..wire.errors import MMRawError
from ..wire.image_urls import ImageUrl
from ..wire.mm_refs import PlacedImage, parse_mm_refs
from .output import shorten

_KINDS: tuple[ListKind, ...] = ("content_parts", "mm_refs")


class UrlImages(NamedTuple):
    """The images of one document.

    Attributes:
        kind: `content_parts`, `mm_refs` or `messages`.
        value: What was read, in its plain form.
        images: The images in prompt order.
        paths: The path of each image's URL.
    """

    kind: str
    value: Any
    images: Sequence[ImageUrl]
    paths: list[str]


def find_url_images(document: Any, root: str | None = None) -> UrlImages | None:
    """The images of a document, or of a request, rollout or conversation; None where it has none.

    Args:
        document: Decoded.
        root: The path of a list in a request; None for the one that it has there.

    Raises:
        MMRawError: what `parse_content_parts` and `parse_mm_refs` raise, with the path.
    """
    kind = list_kind(document)
    if kind is not None:
        return _read(kind, document, "$")
    if isinstance(document, Mapping):
        fields = cast("Mapping[str, Any]", document)
        for name in _KINDS:
            if fields.get(name) is not None:
                return _read(name, fields[name], root or f"$.{name}")
        if any(_is_conversation(fields.get(name)) for name in (*CONVERSATIONS, *ANSWERS)):
            return _read("messages", fields, "$")
    return _read("messages", document, "$") if _is_conversation(document) else None


def _is_conversation(value: Any) -> bool:
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, Mapping) and "role" in row for row in rows)


def _read(kind: str, value: Any, path: str) -> UrlImages:
    failed: MMRawError | None = None
    try:
        if kind == "mm_refs":
            refs = parse_mm_refs(value)
            place = "[0][{}][0]" if isinstance(value, list) else ".images[{}].url"
            paths = [path + place.format(image.index) for image in refs.images]
            return UrlImages(kind, refs.to_dict(), refs.images, paths)
        parts = parse_content_parts(content_parts(value) if kind == "messages" else value)
        paths = [f"{path}[{image.index}].url" for image in parts.images]
        return UrlImages(kind, parts.to_list(), parts.images, paths)
    except MMRawError as error:
        failed = error
    raise failed.with_path_prefix(path)


def image_row(image: ImageUrl) -> tuple[str, str, str]:
    """A row for people: the image's index, what its URL is, where it is and its source."""
    ref = image.ref
    if ref is None:
        text, source = f"{image.url_kind} URL", image.url
    else:
        text = f"{ref.dialect} {ref.family} {json.dumps(ref.fields().get('payload'))}"
        source = "inline" if ref.is_inline else str(ref.stored_name)
    return (f"[{image.index}]", text, f"{place_of(image)}; {shorten(source)}")


def beside(image: ImageUrl) -> dict[str, Any]:
    """Returns the fields next to an image's ref, for the materializer to compare."""
    if isinstance(image, PlacedImage) and image.ref is not None:
        length = wire_length(image.ref, image.length)
        return {} if length is None else {"placeholder_length": length}
    return {}


def place_of(image: ImageUrl) -> str:
    """Returns the place of an image, for people."""
    if isinstance(image, PlacedImage):
        return f"tokens {image.offset} to {image.offset + image.length - 1}"
    uuid = image.uuid if isinstance(image, ContentImage) else None
    return "no uuid" if uuid is None else "uuid is the ref's mm_hash" if image.ref else "uuid"
