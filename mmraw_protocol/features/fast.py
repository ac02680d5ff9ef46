"""The short way for bodies whose images are all plain; None sends a body the careful way.

Each ref is proved plain as refs/fast.py says. Hex digits of all images are looked at together, and
placeholders in ascending order need no sorting.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import msgspec

from .._generated.limits import Limits
from .._generated.plain import ITEM_V1_FAMILIES, MM_HASH, PlainFeatures
from .._generated.types import PlaceholderRange
from ..codec.base64text import encode_plain
from ..codec.jsontext import LARGE, MAX_INTEGER
from ..errors import MMRawError
from ..grids import is_plain_grid
from ..items import RawMMItem, typed_item
from ..refs import RawMMRef, fast
from ..refs.model import payload_grid
from .model import Features, MultiModalData

_HEX = MM_HASH.allowed
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PlainFeatures).decode
_Refusal = (msgspec.MsgspecError, MMRawError, ValueError, TypeError, KeyError, AttributeError)


def build(data: MultiModalData, run_id: str | None, limits: Limits) -> dict[str, Any] | None:
    """The body with v3 refs."""
    items, hashes = data.mm_items.get("image", ()), data.mm_hashes.get("image", ())
    places = data.mm_placeholders.get("image", ())
    maps = (data.mm_items, data.mm_hashes, data.mm_placeholders)
    if run_id is None or any(list(mapping) != ["image"] for mapping in maps):
        return None
    if not 0 < len(items) == len(hashes) == len(places) or len(items) > limits.features_images:
        return None
    rows = _Rows(run_id, limits)
    try:
        for item, mm_hash, place in zip(items, hashes, places, strict=True):
            if not rows.add(item, mm_hash, place):
                return None
        return rows.body()
    except (*_Refusal, UnicodeError, RecursionError):
        return None


class _Rows:
    """The images of a body, one after the other."""

    def __init__(self, run_id: str, limits: Limits) -> None:
        self.run_id = run_id
        self.limits = limits
        self.kwargs_data: dict[str, list[str]] = {}
        self.mm_hashes: dict[str, list[str]] = {}
        self.mm_placeholders: dict[str, list[dict[str, int]]] = {}
        self.digits: list[str] = []
        self.labels: Any = None
        self.end = 0
        self.ascending = True

    def add(self, item: Any, mm_hash: Any, place: Any) -> bool:
        """Whether the image is plain so far; its digits are looked at with all others'."""
        limits = self.limits
        value = typed_item(item, limits)
        if value is None:
            return False
        family = value.family if type(value) is RawMMItem else ITEM_V1_FAMILIES[type(value)]
        modality = value.vllm_modality or "image"
        labels = (family, value.layout_fingerprint, modality)
        if labels != self.labels:
            if not fast.are_plain_labels(
                self.run_id, value.layout_fingerprint, modality, family, limits
            ):
                return False
            self.labels = labels
            for mapping in (self.kwargs_data, self.mm_hashes, self.mm_placeholders):
                cast("dict[str, Any]", mapping).setdefault(modality, [])
        name, uri = value.raw_image_id, value.raw_uri
        ref = RawMMRef(
            family=family,
            fingerprint=value.layout_fingerprint,
            mm_hash=mm_hash,
            modality=modality,
            payload=value.payload,
            raw_image_id=name,
            raw_uri=uri,
            run_id=self.run_id,
        )
        if (
            name is not None
            and uri is None
            and name[-4:] in fast.EXTENSIONS
            and 20 <= len(name) <= limits.raw_image_id_bytes
            and MM_HASH.least <= len(mm_hash) <= MM_HASH.most
            and is_plain_grid(payload_grid(value.payload), limits)
        ):
            self.digits.append(mm_hash + name[:-4])
            text = fast.V3 + encode_plain(_encode(ref))
        else:
            text = fast.write(ref, "v3", limits)
            if text is None:
                return False
        self.kwargs_data[modality].append(text)
        self.mm_hashes[modality].append(mm_hash)
        self.mm_placeholders[modality].append(self.placeholder(place))
        return True

    def placeholder(self, place: Any) -> dict[str, int]:
        """A placeholder as plain JSON."""
        if type(place) is PlaceholderRange:
            offset, length, size = place.offset, place.length, 2
        else:
            offset, length, size = place["offset"], place["length"], len(place)
        if size != 2 or type(offset) is not int or type(length) is not int:
            raise ValueError
        if not (0 <= offset <= MAX_INTEGER and 0 < length <= MAX_INTEGER):
            raise ValueError
        if offset < self.end:
            self.ascending = False
        self.end = offset + length
        return {"length": length, "offset": offset}

    def body(self) -> dict[str, Any] | None:
        """The body, where the digits of all images are digits and no placeholders overlap."""
        if "".join(self.digits).encode().translate(None, _HEX):
            return None
        if not self.ascending and not _are_apart(
            [
                (row["offset"], row["length"])
                for rows in self.mm_placeholders.values()
                for row in rows
            ]
        ):
            return None
        return {
            "kwargs_data": self.kwargs_data,
            "mm_hashes": self.mm_hashes,
            "mm_placeholders": self.mm_placeholders,
        }


def _are_apart(spans: list[tuple[int, int]]) -> bool:
    spans.sort()
    return all(offset + length <= start for (offset, length), (start, _) in pairwise(spans))


def parse(value: Any, limits: Limits, read: Callable[[str], RawMMRef]) -> Features | None:
    """The body of a text or object; `read` reads its refs."""
    try:
        if isinstance(value, (str, bytes)):
            if len(value) > limits.features_bytes or not _is_cheap(value, limits):
                return None
            wire = _decode(value)
            if not _is_closed(value, wire):
                return None
        else:
            wire = msgspec.convert(value, PlainFeatures)
        return _checked(wire, limits, read)
    except (*_Refusal, UnicodeError, RecursionError):
        return None


def _is_cheap(text: str | bytes, limits: Limits) -> bool:
    """Whether a large text is plain ASCII with no more values than a lawful body has.

    What else it is costs many times its length as soon as anything is built of it.
    """
    if len(text) <= LARGE:
        return True
    marks = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    values = sum(text.count(mark) for mark in cast(Any, marks))
    wide = "\\u" in text if isinstance(text, str) else b"\\u" in text
    return text.isascii() and not wide and values <= 5 * limits.features_images + 256


def _is_closed(text: str | bytes, wire: PlainFeatures) -> bool:
    """Whether no key stands twice: each key and each string adds two quotes to a text.

    A quote or backslash within a string would add some too; no plain body has one.
    """
    images = sum(map(len, wire.kwargs_data.values()))
    strings = 3 + 3 * len(wire.kwargs_data) + 2 * images + 2 * images
    quotes = text.count('"') if isinstance(text, str) else text.count(b'"')
    return quotes == 2 * strings


def _checked(
    wire: PlainFeatures, limits: Limits, read: Callable[[str], RawMMRef]
) -> Features | None:
    modalities = wire.kwargs_data.keys()
    if wire.mm_hashes.keys() != modalities or wire.mm_placeholders.keys() != modalities:
        return None
    refs: dict[str, list[RawMMRef]] = {}
    spans: list[tuple[int, int]] = []
    for modality, texts in wire.kwargs_data.items():
        hashes, places = wire.mm_hashes[modality], wire.mm_placeholders[modality]
        if not len(texts) == len(hashes) == len(places) or not modality.isascii():
            return None
        if len(spans) + len(texts) > limits.features_images:
            return None
        if sum(map(len, texts)) > limits.features_bytes:
            return None
        rows: list[RawMMRef] = []
        refs[modality] = rows
        for text, mm_hash, place in zip(texts, hashes, places, strict=True):
            ref = read(text)
            if ref.modality != modality or ref.mm_hash != mm_hash:
                return None
            rows.append(ref)
            spans.append((place.offset, place.length))
    if (
        sum(len(text) for texts in wire.kwargs_data.values() for text in texts)
        > limits.features_bytes
    ):
        return None
    if not _are_apart(spans):
        return None
    return Features(
        mm_hashes=wire.mm_hashes,
        mm_placeholders=wire.mm_placeholders,
        kwargs_data=wire.kwargs_data,
        refs=refs,
    )
