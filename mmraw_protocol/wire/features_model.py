"""The content of a features body, and what a renderer knows before it is built.

Source: spec/README.md, section "Features"; schema urn:mmraw:features:v1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import msgspec

from ..system.shown import Shown
from ._generated.limits import Limits
from ._generated.types import ItemFields, PlaceholderRange, RefFields
from .check import expected, key_in_path
from .errors import MMRawError
from .item import MODALITY, RawMMItem
from .json import to_builtins
from .modality import check_maps
from .ref import RawMMRef

MAPS = ("kwargs_data", "mm_hashes", "mm_placeholders")


class Slot(Shown, msgspec.Struct, frozen=True):
    """One image of a features body."""

    modality: str
    index: int
    mm_hash: str
    placeholder: PlaceholderRange
    ref: RawMMRef


class Features(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """A checked features body.

    Attributes:
        mm_hashes: modality -> hashes.
        mm_placeholders: modality -> ranges, absolute in the whole prompt.
        kwargs_data: modality -> ref texts as they came.
        refs: modality -> the parsed refs, parallel to `kwargs_data`.
    """

    mm_hashes: dict[str, list[str]]
    mm_placeholders: dict[str, list[PlaceholderRange]]
    kwargs_data: dict[str, list[str]]
    refs: dict[str, list[RawMMRef]]

    def to_dict(self) -> dict[str, Any]:
        """The body as builtins."""
        return {
            "kwargs_data": {m: list(texts) for m, texts in self.kwargs_data.items()},
            "mm_hashes": {m: list(hashes) for m, hashes in self.mm_hashes.items()},
            "mm_placeholders": {
                m: [{"length": r.length, "offset": r.offset} for r in ranges]
                for m, ranges in self.mm_placeholders.items()
            },
        }

    def slots(self) -> Iterator[Slot]:
        """Every image, modality by modality."""
        for modality, refs in self.refs.items():
            rows = zip(self.mm_hashes[modality], self.mm_placeholders[modality], refs, strict=True)
            for index, (mm_hash, placeholder, ref) in enumerate(rows):
                yield Slot(modality, index, mm_hash, placeholder, ref)

    def _repr_html_(self) -> str:
        """Returns the HTML that a notebook shows."""
        from ..materialize.notebook import features_html

        return features_html(self)


class MultiModalData(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """A renderer's knowledge of a conversation's images, keyed by source modality.

    Attributes:
        mm_hashes: source modality (`image`, for every family) -> hashes.
        mm_placeholders: source modality -> ranges, absolute in the whole prompt.
        mm_items: source modality -> envelopes.
    """

    mm_hashes: Mapping[str, Sequence[str]] = {}
    mm_placeholders: Mapping[str, Sequence[PlaceholderRange | Mapping[str, int]]] = {}
    mm_items: Mapping[str, Sequence[RawMMItem | Mapping[str, Any]]] = {}

    def is_empty(self) -> bool:
        """True if there is no image; released renderers ask what an earlier turn returned."""
        mappings = (self.mm_hashes, self.mm_placeholders, self.mm_items)
        return not any(len(rows) for mapping in mappings for rows in mapping.values())

    def merge(self, other: MultiModalData) -> MultiModalData:
        """This turn's images and then those of `other`; neither is changed."""
        return MultiModalData(
            mm_hashes=_joined(self.mm_hashes, other.mm_hashes),
            mm_placeholders=_joined(self.mm_placeholders, other.mm_placeholders),
            mm_items=_joined(self.mm_items, other.mm_items),
        )

    def check_modalities(self) -> None:
        """Refuses video and audio, which would else be skipped or taken for images.

        Raises:
            MMRawError: modality_unsupported.
        """
        names = ("mm_items", "mm_hashes", "mm_placeholders")
        check_maps({name: getattr(self, name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """The three mappings as JSON builtins; what `from_dict` reads."""
        return {
            "mm_hashes": {m: list(hashes) for m, hashes in self.mm_hashes.items()},
            "mm_placeholders": {m: to_builtins(tuple(r)) for m, r in self.mm_placeholders.items()},
            "mm_items": {
                m: [i.to_dict() if isinstance(i, RawMMItem) else dict(i) for i in items]
                for m, items in self.mm_items.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MultiModalData:
        """Reads the mapping that renderers of the field hand on.

        Raises:
            MMRawError: invalid_type, missing_field, unknown_field.
        """
        names = ("mm_hashes", "mm_placeholders", "mm_items")
        if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MMRawError("invalid_type", expected("an object", data))
        if set(data) - set(names):
            raise MMRawError("unknown_field", f"expected no other fields than {', '.join(names)}")
        for name in names:
            if name not in data:
                raise MMRawError("missing_field", f"expected field {name}, which is absent")
            _check_lists(data[name], f"$.{name}")
        return cls(**{name: data[name] for name in names})


def _joined(first: Mapping[str, Sequence[Any]], second: Mapping[str, Sequence[Any]]) -> Any:
    keys = dict.fromkeys([*first, *second])
    return {key: [*first.get(key, ()), *second.get(key, ())] for key in keys}


def _check_lists(value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        raise MMRawError("invalid_type", expected("an object keyed by modality", value), path)
    for key, items in cast("Mapping[Any, Any]", value).items():
        if not isinstance(key, str):
            raise MMRawError("invalid_type", expected("a modality, a string, as key", key), path)
        if not isinstance(items, (list, tuple)):
            message = expected("a list", items)
            raise MMRawError("invalid_type", message, path + key_in_path(key))


#: Fields of an envelope that a ref has under the same name.
_CARRIED = {*ItemFields.__struct_fields__} & {*RefFields.__struct_fields__} - {"dialect", "family"}


def ref_of_item(item: Any, family: str, mm_hash: str, run_id: str) -> RawMMRef:
    """The ref of an envelope's image, with every field that both have."""
    return RawMMRef(
        family=family,
        fingerprint=item.layout_fingerprint,
        mm_hash=mm_hash,
        modality=item.vllm_modality or MODALITY,
        run_id=run_id,
        **{name: getattr(item, name) for name in _CARRIED},
    )


def check_count(count: int, limits: Limits) -> None:
    """Rejects more images than a body, a request or a rollout may have.

    Raises:
        MMRawError: limit_exceeded.
    """
    if count > limits.features_images:
        message = f"expected at most {limits.features_images} images, got {count}"
        raise MMRawError("limit_exceeded", message)


def check_overlap(ranges: Mapping[str, Sequence[PlaceholderRange]]) -> None:
    """Refuses two placeholders that share a token, across all modalities.

    Raises:
        MMRawError: placeholder_invalid.
    """
    rows = sorted(
        (r.offset, r.offset + r.length, modality, index)
        for modality, entries in ranges.items()
        for index, r in enumerate(entries)
    )
    for (_, end, _, _), (start, _, modality, index) in pairwise(rows):
        if start < end:
            path = f"$.mm_placeholders{key_in_path(modality)}[{index}]"
            message = (
                "expected placeholders without overlap, got one that starts before another ends"
            )
            raise MMRawError("placeholder_invalid", message, path)
