"""Image parts of chat messages: which parts are images, and where their bytes come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ..images import ImageSource
from ..stores import AssetStore
from ..stores.urls import StoredImage, find_stored
from ..stores.verify import read_verified
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.modalities import (
    MEDIA_NAMES,
    MEDIA_PARTS,
    MEDIA_TYPES,
    MEDIA_WITHIN,
    PARTS,
)
from ..wire.errors import MMRawError
from ..wire.modality import check_modality, unsupported
from ..wire.ref import is_ref, parse_ref

_TYPES = ("image", "image_url")


class MessageImage(Shown, msgspec.Struct, frozen=True):
    """An image part: where it stands, the part itself, and its source (None where it has none)."""

    message_index: int
    part_index: int
    part: Any
    source: Any

    def __hash__(self) -> int:
        return hash((self.message_index, self.part_index))

    @property
    def path(self) -> str:
        """Where it stands, for errors."""
        return f"$[{self.message_index}].content[{self.part_index}]"


def field_of(part: Any, name: str) -> Any:
    """A key of a mapping or an attribute of an object; None where it is absent."""
    if isinstance(part, Mapping):
        return cast("Mapping[str, Any]", part).get(name)
    if isinstance(part, (str, bytes, int, float, list, tuple)) or part is None:
        return None
    value = getattr(part, name, None)
    # Objects of all kinds may have a method of that name; a method is never a source.
    return None if callable(value) else value


def is_image_part(part: Any, path: str = "$") -> bool:
    """Whether a content part is an image: by its type, or by a truthy source where it has none.

    Raises:
        MMRawError: modality_unsupported (the part is a video or audio), with `path`.
    """
    kind = field_of(part, "type")
    modality = _refused_modality(part, kind)
    if modality is not None:
        raise unsupported(modality, path)
    if kind is not None:
        return kind in _TYPES
    return any(_is_set(field_of(part, name)) for name in _TYPES)


def _refused_modality(part: Any, kind: Any) -> str | None:
    """Video or audio, where a part is that: by its type, its keys, or its media type."""
    if kind is None:
        for name, modality in PARTS.items():
            if _is_set(field_of(part, name)):
                return modality
    elif not isinstance(kind, str) or kind not in MEDIA_PARTS:
        return PARTS.get(kind) if isinstance(kind, str) else None
    for holder in (part, *(field_of(part, name) for name in MEDIA_WITHIN)):
        for name in MEDIA_NAMES:
            declared = field_of(holder, name)
            for start, modality in MEDIA_TYPES.items():
                if isinstance(declared, str) and declared[: len(start)].lower() == start:
                    return modality
    return None


def _is_set(value: Any) -> bool:
    # A PIL image or an array may have no truth value; it is there, and that is enough.
    if isinstance(value, (str, bytes, int, float, dict)):
        return bool(cast(object, value))
    return value is not None


def image_source(part: Any) -> Any:
    """The source of an image part, or None where there is none.

    That is `image`, else `image_url` (text, or its `url`), else `url`, else `path`; None counts as
    absent.

    Raises:
        MMRawError: modality_unsupported.
    """
    if not is_image_part(part):
        return None
    for name in ("image", "image_url", "url", "path"):
        value = field_of(part, name)
        if name == "image_url" and not isinstance(value, (str, bytes)):
            inner = field_of(value, "url")
            value = inner if inner is not None or is_container(value) else value
        if value is not None:
            return value
    return None


def is_container(value: Any) -> bool:
    """Whether a source stands within an object, under `url`."""
    return isinstance(value, Mapping) or hasattr(value, "url")


def find_images(messages: Sequence[Any]) -> list[MessageImage]:
    """Every image part of a conversation, in order.

    Raises:
        MMRawError: invalid_type (messages that are no list), modality_unsupported (a video or
            audio, with the part's path).
    """
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "messages are a list")
    found: list[MessageImage] = []
    for message_index, message in enumerate(messages):
        content = field_of(message, "content")
        if not isinstance(content, (list, tuple)):
            continue
        for part_index, part in enumerate(cast("Sequence[Any]", content)):
            if is_image_part(part, f"$[{message_index}].content[{part_index}]"):
                found.append(MessageImage(message_index, part_index, part, image_source(part)))
    return found


def open_image_part(
    image: MessageImage,
    limits: Limits = DEFAULT_LIMITS,
    store: AssetStore | None = None,
    run_id: str | None = None,
) -> ImageSource:
    """The bytes of an image part; a URL of the store's own is read through the store.

    So is a ref, whose bytes are compared with it; an inline one needs no store.

    Raises:
        MMRawError: missing_source, what `ImageSource.open` raises, what `parse_ref` and
            `read_verified` raise for a ref, and what the store raises, with the part's path.
    """
    if image.source is None:
        raise MMRawError("missing_source", "the image part names no source", image.path)
    if is_ref(image.source):
        return _open_ref(image, limits, store, run_id)
    found = None if store is None else find_stored(store, image.source, run_id)
    if store is None or found is None:
        return ImageSource.open(image.source, limits=limits, path=image.path)
    failed: MMRawError | None = None
    try:
        data = store.get(found.raw_image_id, run_id=found.run_id)
        return ImageSource(data, limits=limits, path=image.path)
    except MMRawError as error:
        failed = error
    raise MMRawError(failed.code, failed.message, image.path)


def _open_ref(
    image: MessageImage, limits: Limits, store: AssetStore | None, run_id: str | None
) -> ImageSource:
    failed: MMRawError | None = None
    data = b""
    try:
        ref = parse_ref(image.source, limits=limits)
        check_modality(ref.modality, "$.modality")
        data = read_verified(ref, store, run_id=run_id, limits=limits)
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.at(image.path)
    return ImageSource(data, limits=limits, path=image.path)


def stored_source(store: AssetStore, source: Any, run_id: str | None = None) -> StoredImage | None:
    """The stored image that a source names, by a URL of the store's own or by a ref.

    Raises:
        MMRawError: what `parse_ref` raises.
    """
    if not is_ref(source):
        return find_stored(store, source, run_id)
    ref = parse_ref(source)
    name = None if ref.is_inline else ref.stored_name
    return None if name is None else StoredImage(name, ref.run_id or run_id)
