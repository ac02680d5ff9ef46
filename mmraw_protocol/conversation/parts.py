"""The narrow rule of image parts, which stock code has; `find_images` knows all spellings.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..wire._generated.modalities import (
    MEDIA_NAMES,
    MEDIA_PARTS,
    MEDIA_TYPES,
    MEDIA_WITHIN,
    PARTS,
)
from ..wire.modality import unsupported
from .places import field_of

_TYPES = ("image", "image_url")


def is_image_part(part: Any, path: str = "$") -> bool:
    """True if a content part is an image: by its type, or by a truthy source if it has none.

    Raises:
        MMRawError: modality_unsupported (the part is a video or audio), with `path`.
    """
    kind = field_of(part, "type")
    modality = refused_modality(part, kind)
    if modality is not None:
        raise unsupported(modality, path)
    if kind is not None:
        return kind in _TYPES
    return any(_is_set(field_of(part, name)) for name in _TYPES)


def refused_modality(part: Any, kind: Any) -> str | None:
    """Video or audio, if a part is that: by its type, its keys, or its media type."""
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
    """The source of an image part, or None if there is none.

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
    """True if a source is within an object, under `url`."""
    return isinstance(value, Mapping) or hasattr(value, "url")
