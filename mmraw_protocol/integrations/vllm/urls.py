"""Refs that stand as image URLs of a request, and what must not stand beside them.

Nothing here depends on a route; a ref in any other place is refused when it is to be loaded.
"""

from __future__ import annotations

from typing import Any, cast

from ...conversation.request_urls import Document, image_urls, is_ref, prompt_texts
from ...wire.content_parts import PART_TYPE, check_uuid
from ...wire.errors import MMRawError
from .process import Served


def check_urls(document: Document, served: Served) -> dict[str, str]:
    """The path of each ref that stands as an image URL, checked as far as it goes without bytes.

    Raises:
        MMRawError: limit_exceeded, what `parse_ref` and `RefImages.check` raise, hash_mismatch (a
            uuid that is not the ref's mm_hash), unsupported_option (arguments for processor or
            loader), lengths_differ (the prompt has not one target for each image), invalid_value (a
            ref in a content part of another type, which vLLM would skip in silence).
    """
    found: dict[str, str] = {}
    tokens = images = 0
    most, prompts = served.images.settings.limits.features_images, _prompts(document)
    for index, (url, uuids) in enumerate(image_urls(document)):
        if not is_ref(url):
            continue
        if index >= most:
            raise MMRawError("limit_exceeded", f"expected at most {most} images in a request")
        path = f"$.images[{index}]"
        tokens += _check(url, uuids, path, served)
        images += 1
        served.check_sizes(tokens, images, prompts)
        found.setdefault(url, path)
    if found:
        _check_beside(document, served)
    return found


def _check(url: str, uuids: list[Any], path: str, served: Served) -> int:
    """The number of the image's tokens."""
    ref = served.images.checked(url, path)
    for uuid in uuids:
        check_uuid(uuid, ref.mm_hash, path)
    return served.images.adapter.num_tokens(ref.payload)


def _prompts(document: Document) -> int:
    """The number of conversations in a request: one of vLLM's routes takes several at once."""
    messages = document.get("messages")
    listed = cast("list[Any]", messages if isinstance(messages, list) else [])
    return max(1, sum(isinstance(entry, list) for entry in listed))


def _check_beside(document: Document, served: Served) -> None:
    given: Any = document.get("media_io_kwargs")
    loader = cast("Document", given) if isinstance(given, dict) else {}
    if document.get("mm_processor_kwargs") or loader.get("image"):
        message = "expected no mm_processor_kwargs or media_io_kwargs.image beside refs, got one"
        raise MMRawError("unsupported_option", message)
    if document.get("content_parts"):
        _check_parts(document["content_parts"], document.get("token_ids"), served)
    elif served.target and any(served.target[0] in text for text in prompt_texts(document)):
        message = "the text holds the model's image token, which would take an image's place"
        raise MMRawError("lengths_differ", message)


def _check_parts(parts: Any, token_ids: Any, served: Served) -> None:
    entries = cast("list[Any]", parts if isinstance(parts, list) else [None])
    if not all(isinstance(entry, dict) for entry in entries) or not isinstance(token_ids, list):
        return  # vLLM refuses it
    for index, entry in enumerate(entries):
        if entry.get("type") != PART_TYPE and is_ref(entry.get("url")):
            message = f"expected refs in parts of type image_url, got another type in part {index}"
            raise MMRawError("invalid_value", message)
    # A model may expand the same token for videos.
    if served.target is None or {entry.get("type") for entry in entries} != {PART_TYPE}:
        return
    targets = cast("list[Any]", token_ids).count(served.target[1])
    if targets != len(entries):
        message = f"the prompt holds {targets} tokens to expand for {len(entries)} images"
        raise MMRawError("lengths_differ", f"{message}; vLLM expands one for each")
