"""Refs that stand as image URLs of a request, and what must not stand beside them.

Nothing here depends on a route: wherever vLLM reads an image's URL from JSON, it has one of three
forms, and a ref in any other place is refused when it is to be loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ...wire.errors import MMRawError
from ...wire.image_urls import url_kind_of
from .process import Served

#: A JSON object.
Document = dict[str, Any]

#: The one type of content part that is an image.
IMAGE_URL = "image_url"
#: Keys of a request whose text is no part of the prompt.
_NO_PROMPT = frozenset({"chat_template"})


def check_urls(document: Document, served: Served) -> dict[str, str]:
    """The path of each ref that stands as an image URL, checked as far as it goes without bytes.

    Raises:
        MMRawError: limit_exceeded, hash_mismatch (a uuid that is not the ref's mm_hash), what
            `RefImages.check` raises, unsupported_option (arguments for processor or loader),
            lengths_differ (the prompt has not one target for each image), invalid_value (a ref in a
            content part of another type, which vLLM would skip in silence).
    """
    found: dict[str, str] = {}
    most = served.images.settings.limits.features_images
    for index, (url, uuids) in enumerate(_images(document)):
        if not is_ref(url):
            continue
        if index >= most:
            raise MMRawError("limit_exceeded", f"a request has at most {most} images")
        path = f"$.images[{index}]"
        _check(url, uuids, path, served)
        found.setdefault(url, path)
    if found:
        _check_beside(document, served)
    return found


def is_ref(value: Any) -> bool:
    """Whether a value is a ref as far as its first letters tell."""
    return isinstance(value, str) and url_kind_of(value) == "ref"


def _check(url: str, uuids: list[Any], path: str, served: Served) -> None:
    failed: MMRawError | None = None
    try:
        ref = served.images.check(url)
        if any(uuid != ref.mm_hash for uuid in uuids):
            message = "a uuid beside a ref is the ref's mm_hash or absent"
            raise MMRawError("hash_mismatch", message)
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.at(path)


def _check_beside(document: Document, served: Served) -> None:
    loader = _object(document.get("media_io_kwargs"))
    if document.get("mm_processor_kwargs") or loader.get("image"):
        message = "a request with refs sets neither mm_processor_kwargs nor media_io_kwargs.image"
        raise MMRawError("unsupported_option", message)
    if document.get("content_parts"):
        _check_parts(document, served)
    elif served.target and any(served.target[0] in text for text in _texts(document)):
        message = "the text holds the model's image token, which would take an image's place"
        raise MMRawError("lengths_differ", message)


def _check_parts(document: Document, served: Served) -> None:
    parts, token_ids = document["content_parts"], document.get("token_ids")
    if not (isinstance(parts, list) and isinstance(token_ids, list)):
        return  # vLLM refuses it
    types: list[Any] = []
    for index, part in enumerate(cast("list[Any]", parts)):
        if not isinstance(part, dict):
            return
        entry = cast("Document", part)
        types.append(entry.get("type"))
        if types[-1] != IMAGE_URL and is_ref(entry.get("url")):
            message = f"a ref stands in a part of another type than image_url (part {index})"
            raise MMRawError("invalid_value", message)
    # A model may expand the same token for videos.
    targets = cast("list[Any]", token_ids).count(served.target[1]) if served.target else len(types)
    if set(types) == {IMAGE_URL} and targets != len(types):
        message = (
            f"the prompt holds {targets} tokens to expand for {len(types)} images; "
            "vLLM expands one for each"
        )
        raise MMRawError("lengths_differ", message)


def _images(document: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Every image URL, with the uuids that stand beside it."""
    for node in _nodes(document):
        value, source = node.get(IMAGE_URL), node.get("source")
        if isinstance(value, dict):
            yield cast("Document", value).get("url"), _uuids(node, value)
        elif value is not None:
            yield value, _uuids(node)
        if "url" in node and node.get("type") == IMAGE_URL:
            yield node["url"], _uuids(node)
        if isinstance(source, dict) and "url" in source:
            yield source["url"], _uuids(node, source)


def _uuids(*nodes: Any) -> list[Any]:
    return [node["uuid"] for node in nodes if node.get("uuid") is not None]


def _object(value: Any) -> Document:
    """A JSON object; empty where something else stands, which is vLLM's to refuse."""
    return cast("Document", value) if isinstance(value, dict) else {}


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
                yield "" if is_ref(value) else value
            elif isinstance(value, list):
                yield from (text for text in cast("list[Any]", value) if isinstance(text, str))
