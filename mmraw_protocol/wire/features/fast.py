"""The short way for bodies whose images are all plain; None sends a body the careful way.

Each ref is proved plain as refs/fast.py says. Hex digits of all images are looked at together, and
placeholders in ascending order need no sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import msgspec

from .._generated.limits import Limits
from .._generated.plain import MM_HASH, PlainFeatures, PlainItemV1, PlainItemV1QwenVl
from .._generated.types import PlaceholderRange
from ..base64 import encode_base64
from ..errors import MMRawError
from ..item import RawMMItem, typed_items
from ..json import LARGE, MAX_INTEGER
from ..ref import RawMMRef, fast, stored
from ..ref.fast import V3
from ..ref.stored import EXTENSIONS, LEAST, MOST, SHORTEST, grids, payload_text, stem
from .model import Features, MultiModalData

_HEX = MM_HASH.allowed
_UNKNOWN = (None, 0)
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
    body = _Body(run_id, limits)
    try:
        values = typed_items(items, limits)
        if values is not None and body.add(values, hashes, places):
            return body.finished()
    except (*_Refusal, UnicodeError, RecursionError):
        pass
    return None


class _Column(NamedTuple):
    """What the images of one family and fingerprint share, and where their values go."""

    template: stored.Template
    texts: list[str]
    hashes: list[str]
    places: list[dict[str, int]]


class _Body:
    """A body of plain images."""

    def __init__(self, run_id: str, limits: Limits) -> None:
        self.run_id = run_id
        self.limits = limits
        self.kwargs_data: dict[str, list[str]] = {}
        self.mm_hashes: dict[str, list[str]] = {}
        self.mm_placeholders: dict[str, list[dict[str, int]]] = {}
        self.columns: dict[tuple[Any, ...], _Column] = {}
        #: Stems of names that are not their hash; they must be of hex digits, too.
        self.stems: list[str] = []

    def add(
        self, items: Sequence[PlainItemV1 | RawMMItem], hashes: Sequence[Any], places: Sequence[Any]
    ) -> bool:
        """Whether all images are plain, but for their digits. One loop: each call here shows."""
        limits, known = self.limits, self.columns
        longest_name = min(stored.LONGEST, limits.raw_image_id_bytes)
        last, is_ascending = 0, True
        for value, mm_hash, place in zip(items, hashes, places, strict=True):
            payload: Any = value.payload
            name: Any = value.raw_image_id
            labels: Any = (
                type(payload),
                value.layout_fingerprint,
                value.vllm_modality,
                value.raw_ref,
            )
            column = known.get(labels) or self.column(*labels)
            if column is None:
                return False
            (_, head, behind_hash, behind_payload, tail), texts, kept, spans = column
            if (
                value.raw_uri is None
                and type(mm_hash) is type(name) is str
                and LEAST <= len(mm_hash) <= MOST
                and SHORTEST <= len(name) <= longest_name
            ):
                grid = None
                if type(value) is PlainItemV1QwenVl:
                    # Just converted: its integers are integers.
                    grid, patches = grids.get(payload.image_grid_thw[0], _UNKNOWN)
                    if patches > limits.grid_patches:
                        return False
                grid = grid or payload_text(payload, limits)
                if grid is None:
                    return False
                if name.removeprefix(mm_hash) not in EXTENSIONS:
                    self.stems.append(stem(name))
                text = f"{head}{mm_hash}{behind_hash}{grid}{behind_payload}{name}{tail}"
                text = V3 + encode_base64(text.encode()).rstrip("=")
            else:
                text = self.other(value, mm_hash)
                if text is None:
                    return False
            if type(place) is PlaceholderRange:
                offset, length = place.offset, place.length
            else:
                offset, length = place["offset"], place["length"]
                if len(place) != 2:
                    return False
            if not (type(offset) is type(length) is int and 0 <= offset <= MAX_INTEGER):
                return False
            if not 0 < length <= MAX_INTEGER:
                return False
            if offset < last:
                is_ascending = False
            last = offset + length
            texts.append(text)
            kept.append(mm_hash)
            spans.append({"length": length, "offset": offset})
        return is_ascending or _are_apart(
            [
                (span["offset"], span["length"])
                for rows in self.mm_placeholders.values()
                for span in rows
            ]
        )

    def column(
        self, kind: Any, fingerprint: Any, vllm_modality: Any, raw_ref: Any
    ) -> _Column | None:
        """A column that is new; None where its labels are not plain."""
        if vllm_modality == "" or not (
            raw_ref is msgspec.UNSET or raw_ref is None or raw_ref.isascii()
        ):
            return None
        modality = vllm_modality or "image"
        template = stored.template_of(
            kind, stored.FAMILY_OF[kind], fingerprint, modality, self.run_id
        )
        if template is None or template[0] > self.limits.name_chars:
            return None
        column = _Column(
            template,
            self.kwargs_data.setdefault(modality, []),
            self.mm_hashes.setdefault(modality, []),
            self.mm_placeholders.setdefault(modality, []),
        )
        self.columns[kind, fingerprint, vllm_modality, raw_ref] = column
        return column

    def other(self, value: PlainItemV1 | RawMMItem, mm_hash: Any) -> str | None:
        """The text of an image that carries its bytes, or whose name is no hash."""
        ref = RawMMRef(
            family=stored.FAMILY_OF[type(value.payload)],
            fingerprint=value.layout_fingerprint,
            mm_hash=mm_hash,
            modality=value.vllm_modality or "image",
            payload=value.payload,
            raw_image_id=value.raw_image_id,
            raw_uri=value.raw_uri,
            run_id=self.run_id,
        )
        return fast.write(ref, "v3", self.limits)

    def finished(self) -> dict[str, Any] | None:
        """The body, where the digits of all images are digits."""
        for digits in (*self.mm_hashes.values(), self.stems):
            if "".join(digits).encode().translate(None, _HEX):
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
    # Any escape, since one character is found much faster than two; plain texts have none.
    escaped = "\\" in text if isinstance(text, str) else b"\\" in text
    return text.isascii() and not escaped and values <= 5 * limits.features_images + 256


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
