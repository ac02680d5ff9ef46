"""Conversations whose image URLs are refs, and what requests and rollouts carry of them.

Source: spec/README.md, section "Refs as URLs".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from ..families import Adapter
from ..images.preparing import Alpha, Orientation, Preparation
from ..stores import AssetStore
from ..stores.base import Storage
from ..wire._generated.checks import check_placeholders
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PlaceholderRange
from ..wire.check import key_in_path
from ..wire.content_parts import PART_TYPE, ContentParts, check_uuid, parse_content_parts
from ..wire.errors import MMRawError
from ..wire.features_build import format_described
from ..wire.features_model import check_count, check_overlap, ref_of_item
from ..wire.json import check_json_value
from ..wire.mm_refs import parse_mm_refs
from ..wire.modality import check_maps, check_modality
from ..wire.ref import is_ref, parse_ref
from . import environment
from .found import MessageImage
from .messages import find_images, pack_found, with_source
from .places import field_of
from .reading import read_conversation

__all__ = ["content_parts", "mm_refs", "ref_messages"]

#: `object`: `{"images": [{"url", "offset", "length"}]}`; `array`: `[[[url, offset, length], ...]]`.
Form = Literal["object", "array"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def ref_messages(
    messages: Any,
    adapter: Adapter,
    *,
    store: AssetStore | None = None,
    storage: Storage = "offload",
    run_id: str | None = None,
    dialect: str = DEFAULT_DIALECT,
    limits: Limits = DEFAULT_LIMITS,
    orientation: Orientation = "as-stored",
    alpha: Alpha = "refuse",
    skipped: Counter[str] | None = None,
    noted: Counter[str] | None = None,
) -> list[Any]:
    """The messages with the URL of each image replaced by its ref; `messages` is never changed.

    Parts keep their kind. Images of a column become image_url parts in place of their tags, since
    servers read parts alone. Parts that carry a ref already stay, after it was read. All images are
    read, described and stored before anything is rewritten.

    Args:
        messages: The conversation, or a row that has one with a column of images.
        adapter: The family and its configuration.
        store: Where the images go; needed for `offload`.
        storage: `offload` puts the bytes into `store`; `inline` keeps them in the ref.
        run_id: The run that the refs name; None for the store's own, else the environment's.
        dialect: A dialect of refs that is written.
        limits: Of images, grids and refs.
        orientation: As for `pack_images`.
        alpha: As for `pack_images`.
        skipped: As for `find_images`.
        noted: Counts what became of orientation and alpha, by the `notes` of `pack_images`.

    Raises:
        MMRawError: not_convertible (images of answers beside the messages of a row),
            modality_unsupported (a ref of a video or audio), hash_mismatch (an image's
            uuid, which a server rejects for a ref of another mm_hash), and what
            `pack_images`, `parse_ref` and `format_ref` raise, with the part's path.
    """
    conversation = read_conversation(messages, skipped)
    conversation.check_whole()
    images = conversation.images
    for image in images:
        if is_ref(image.source):
            _check_ref(image, limits)
    label = run_id or environment.label_of(store if storage == "offload" else None)
    # Only a store that holds several runs needs to know which one.
    run = run_id if store is None or getattr(store, "run_ids", None) is None else label
    new = [image for image in images if not is_ref(image.source)]
    preparation = Preparation(orientation=orientation, alpha=alpha)
    packed = pack_found(
        new,
        adapter,
        storage=storage,
        store=store,
        run_id=run,
        limits=limits,
        preparation=preparation,
    )
    if noted is not None:
        noted.update(note for one in packed for note in one.notes)
    urls: dict[str, str] = {}
    for one in packed:
        ref = ref_of_item(one.item, one.item.family, one.mm_hash, label)
        path = one.where.path
        check_uuid(field_of(one.where.part, "uuid"), one.mm_hash, f"{path}.uuid")
        urls[path] = format_described(ref, dialect, limits, path)
    return conversation.with_images([_with_ref(image, urls.get(image.path)) for image in images])


def _with_ref(image: MessageImage, url: str | None) -> Any:
    if image.in_column:
        return {"type": PART_TYPE, PART_TYPE: {"url": url or image.source}}
    return image.part if url is None else with_source(image, url)


def content_parts(
    messages: Any, *, limits: Limits = DEFAULT_LIMITS, skipped: Counter[str] | None = None
) -> list[dict[str, str]]:
    """The images of a conversation as a generate request's content parts, in prompt order.

    Args:
        messages: A conversation whose images have URLs: those of `ref_messages`, or any others.
        limits: Of refs, and of the list as `parse_content_parts` has them.
        skipped: As for `find_images`.

    Raises:
        MMRawError: missing_source, source_unsupported (a path, bytes or a picture), and what
            `parse_content_parts` raises, with the part's path.
    """
    images = find_images(messages, skipped=skipped)
    check_count(len(images), limits)
    rows = [row for image in images for row in _content_part(image, limits).to_list()]
    return parse_content_parts(rows, limits=limits).to_list()


def mm_refs(
    images: Sequence[Any] | ContentParts,
    placeholders: Mapping[str, Sequence[Any]],
    *,
    form: Form = "object",
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """The `mm_refs` of a rollout: each image's URL, and the span that the server gave for it.

    Args:
        images: The conversation (its images have URLs), or the content parts of the request.
        placeholders: `mm_placeholders` of the answer: by modality, `{"offset", "length"}`.
        form: `object` or `array`.
        limits: As for `parse_mm_refs`.

    Raises:
        MMRawError: lengths_differ (one span for each image), modality_mismatch, not_convertible (a
            uuid that mm_refs cannot carry), what the schema of placeholders says, and what
            `content_parts` and `parse_mm_refs` raise.
    """
    if form not in ("object", "array"):
        message = "expected form='object' or 'array', got another value"
        raise MMRawError("unsupported_option", message)
    parts = images if isinstance(images, ContentParts) else _parts_of(images, limits)
    spans = spans_in_order(placeholders, limits)
    check_one_span_each(parts, spans)
    for image in parts.images:
        if image.ref is None and image.uuid is not None:
            message = "mm_refs would lose uuid, the key that the request gives with the URL"
            raise MMRawError("not_convertible", message, f"$[{image.index}].uuid")
    rows = [
        [image.url, span.offset, span.length]
        for image, (_, span) in zip(parts.images, spans, strict=True)
    ]
    parsed = parse_mm_refs([rows], limits=limits)
    return parsed.to_dict() if form == "object" else parsed.to_list()


def spans_in_order(
    placeholders: Mapping[str, Sequence[Any]], limits: Limits
) -> list[tuple[str, PlaceholderRange]]:
    """(modality, span) of an answer's placeholders, in the order of the prompt.

    Raises:
        MMRawError: modality_unsupported, limit_exceeded, placeholder_invalid, and what the schema
            says.
    """
    value: Any = placeholders
    if isinstance(value, Mapping):
        by_modality = cast("Mapping[Any, Any]", value)
        value = {modality: _plain_ranges(rows) for modality, rows in by_modality.items()}
    check_json_value(value)
    check_maps({"mm_placeholders": value})
    check_placeholders(value, "$", limits)
    ranges = msgspec.convert(value, dict[str, list[PlaceholderRange]])
    check_count(sum(map(len, ranges.values())), limits)
    check_overlap(ranges)
    spans = [(modality, span) for modality, rows in ranges.items() for span in rows]
    return sorted(spans, key=lambda row: row[1].offset)


def check_one_span_each(parts: ContentParts, spans: Sequence[tuple[str, PlaceholderRange]]) -> None:
    """One span for each image, and under the modality of its ref.

    Raises:
        MMRawError: lengths_differ, modality_mismatch.
    """
    if len(spans) != len(parts.images):
        images = len(parts.images)
        message = f"expected one placeholder for each image, got {len(spans)} for {images}"
        raise MMRawError("lengths_differ", message, "$.mm_placeholders")
    for image, (modality, _) in zip(parts.images, spans, strict=True):
        if image.ref is not None and image.ref.modality != modality:
            message = "the ref's modality differs from the key that its placeholder is listed under"
            path = f"$.mm_placeholders{key_in_path(modality)}"
            raise MMRawError("modality_mismatch", message, path)


def _plain_ranges(rows: Any) -> Any:
    if not isinstance(rows, (list, tuple)):
        return rows
    return [
        {"length": row.length, "offset": row.offset} if isinstance(row, PlaceholderRange) else row
        for row in cast("list[Any]", rows)
    ]


def _check_ref(image: MessageImage, limits: Limits) -> None:
    failed: MMRawError | None = None
    try:
        ref = parse_ref(image.source, limits=limits)
        check_modality(ref.modality, "$.modality")
        check_uuid(field_of(image.part, "uuid"), ref.mm_hash, "$.uuid")
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.with_path_prefix(image.path)


def _parts_of(images: Sequence[Any], limits: Limits) -> ContentParts:
    """The content parts of a request, or those of a conversation."""
    are_parts = isinstance(images, (list, tuple)) and all(
        isinstance(row, Mapping) and "url" in row for row in images
    )
    parts = images if are_parts else content_parts(images, limits=limits)
    return parse_content_parts(parts, limits=limits)


def _content_part(image: MessageImage, limits: Limits) -> ContentParts:
    """One image of a conversation as content parts; its path leads to errors."""
    if image.source is None:
        message = "expected a part with an image source, got one without"
        raise MMRawError("missing_source", message, image.path)
    if not isinstance(image.source, str) or _URL.match(image.source) is None:
        message = "expected a URL in a content part; ref_messages makes one of any image"
        raise MMRawError("source_unsupported", message, image.path)
    uuid = field_of(image.part, "uuid")
    row = {"type": PART_TYPE, "url": image.source} | ({} if uuid is None else {"uuid": uuid})
    failed: MMRawError | None = None
    try:
        return parse_content_parts([row], limits=limits)
    except MMRawError as error:
        failed = error
    raise MMRawError(failed.code, failed.message, image.path + failed.path.removeprefix("$[0]"))
