"""What a request says of its refs: where image URLs stand, and what must not stand beside them.

Nothing here depends on a route: wherever vLLM reads an image's URL from JSON, it has one of three
forms, and a ref in any other place is refused when it is to be loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.errors import MMRawError
from ...wire.image_urls import url_kind_of

#: A JSON object.
Document = dict[str, Any]

#: Where the images of a request stand in the paths of errors.
IMAGES = "$.images"
#: The one type of content part that is an image.
IMAGE_URL = "image_url"
#: Keys of a request whose text is no part of the prompt.
_NO_PROMPT = frozenset({"chat_template"})


class Image(msgspec.Struct, frozen=True):
    """An image URL of a request.

    Attributes:
        url: As it stands there.
        named: Whether a uuid stands beside it.
    """

    url: Any
    named: bool


def refs_in(document: Any, limits: Limits = DEFAULT_LIMITS) -> dict[str, int]:
    """Each ref that stands as an image URL, with its place among all image URLs.

    Args:
        document: The request.
        limits: Of the count of images.

    Raises:
        MMRawError: limit_exceeded, unsupported_option (a uuid beside a ref).
    """
    found: dict[str, int] = {}
    for index, image in enumerate(_images(document)):
        if not _is_ref(image.url):
            continue
        if index >= limits.features_images:
            message = f"a request has at most {limits.features_images} images"
            raise MMRawError("limit_exceeded", message)
        if image.named:
            message = "a uuid stands beside a ref, which has an identity of its own"
            raise MMRawError("unsupported_option", message, f"{IMAGES}[{index}]")
        found.setdefault(image.url, index)
    return found


def check_beside_refs(document: Document, target: str, target_id: int) -> None:
    """What a request with refs must not hold.

    Args:
        document: The request.
        target: The token that the model's processor expands for an image.
        target_id: Its id.

    Raises:
        MMRawError: unsupported_option (arguments for processor or loader), lengths_differ (the
            prompt has not one target for each image), invalid_value (a ref in a content part of
            another type, which vLLM would skip in silence).
    """
    loader = _object(document.get("media_io_kwargs"))
    if document.get("mm_processor_kwargs") or loader.get("image"):
        message = "a request with refs sets neither mm_processor_kwargs nor media_io_kwargs.image"
        raise MMRawError("unsupported_option", message)
    if document.get("content_parts"):
        _check_parts(document, target_id)
    elif any(target in text for text in _texts(document)):
        message = "the text holds the model's image token, which would take an image's place"
        raise MMRawError("lengths_differ", message)


def check_features(document: Document, *, refs_only: bool) -> None:
    """What the features of a generate request may hold where only this plugin is active.

    Raises:
        MMRawError: unsupported_option (a ref), not_a_ref (a tensor, with `refs_only`).
    """
    rows = _object(_object(document.get("features")).get("kwargs_data")).values()
    entries = [e for row in rows if isinstance(row, list) for e in cast("list[Any]", row)]
    if any(_is_ref(entry) for entry in entries):
        message = "refs in features need the middleware; the plugin reads them as image URLs"
        raise MMRawError("unsupported_option", message)
    if refs_only and entries:
        message = "features hold tensors; this server takes refs only (MMRAW_REFS_ONLY)"
        raise MMRawError("not_a_ref", message)


def _check_parts(document: Document, target_id: int) -> None:
    parts, token_ids = document["content_parts"], document.get("token_ids")
    if not (isinstance(parts, list) and isinstance(token_ids, list)):
        return  # vLLM refuses it
    types: list[Any] = []
    for index, part in enumerate(cast("list[Any]", parts)):
        if not isinstance(part, dict):
            return
        entry = cast("Document", part)
        types.append(entry.get("type"))
        if types[-1] != IMAGE_URL and _is_ref(entry.get("url")):
            message = f"a ref stands in a part of another type than image_url (part {index})"
            raise MMRawError("invalid_value", message)
    # A model may expand the same token for videos.
    targets = cast("list[Any]", token_ids).count(target_id)
    if set(types) == {IMAGE_URL} and targets != len(types):
        message = (
            f"the prompt holds {targets} tokens to expand for {len(types)} images; "
            "vLLM expands one for each"
        )
        raise MMRawError("lengths_differ", message)


def _images(document: Any) -> Iterator[Image]:
    for node in _nodes(document):
        value = node.get(IMAGE_URL)
        if isinstance(value, dict):
            inner = cast("Document", value)
            yield Image(inner.get("url"), _is_named(node) or _is_named(inner))
        elif value is not None:
            yield Image(value, _is_named(node))
        if "url" in node and node.get("type") == IMAGE_URL:
            yield Image(node["url"], _is_named(node))
        source = node.get("source")
        if isinstance(source, dict) and "url" in source:
            inner = cast("Document", source)
            yield Image(inner["url"], _is_named(node) or _is_named(inner))


def _object(value: Any) -> Document:
    """A JSON object; empty where something else stands, which is vLLM's to refuse."""
    return cast("Document", value) if isinstance(value, dict) else {}


def _is_ref(value: Any) -> bool:
    return isinstance(value, str) and url_kind_of(value) == "ref"


def _is_named(node: Document) -> bool:
    return node.get("uuid") is not None


def _nodes(document: Any) -> Iterator[Document]:
    """All objects of a document in their order; no recursion, whatever its depth."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            node = cast("Document", value)
            yield node
            waiting += [v for v in reversed(node.values()) if isinstance(v, (dict, list))]
        elif not (value and isinstance(value[0], (int, float))):
            # A prompt's tokens, many thousands of them, hold nothing.
            waiting += [v for v in reversed(value) if isinstance(v, (dict, list))]


def _texts(document: Any) -> Iterator[str]:
    """All text that may enter the prompt; URLs of images and templates do not."""
    for node in _nodes(document):
        for key, value in node.items():
            if key in _NO_PROMPT:
                continue
            if isinstance(value, str):
                yield "" if _is_ref(value) else value
            elif isinstance(value, list):
                yield from (text for text in cast("list[Any]", value) if isinstance(text, str))
