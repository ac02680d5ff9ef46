"""Places of images in content parts, by spelling, and how a part is rewritten.

Source: spec/messages.json, spec/README.md, section "Messages".
"""

from __future__ import annotations

import copy
import dataclasses
from collections import UserString
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from ..wire._generated.messages import LOOKS_MEDIA_TYPES, PLACES
from ..wire.errors import MMRawError

__all__ = [
    "MAPPINGS",
    "Place",
    "changed",
    "field_of",
    "fields_of",
    "is_tuple_with_names",
    "items_of",
    "place_of",
    "said",
    "value_at",
    "write",
]

_Template = dict[str, Any]


class Place(msgspec.Struct, frozen=True):
    """A place of spec/messages.json; see there."""

    spelling: str
    types: frozenset[str]
    at: tuple[str, ...]
    having: tuple[str, ...]
    media_type: tuple[str, ...]
    encoded: bool
    file_id: bool
    url: _Template
    data: _Template
    ref: _Template

    def __hash__(self) -> int:
        return hash((self.spelling, self.types, self.at))


_PLACES = msgspec.convert(PLACES, tuple[Place, ...])
_PLACES_OF = {
    kind: [place for place in _PLACES if kind in place.types]
    for kind in frozenset[str]().union(*(place.types for place in _PLACES))
}
#: The images of a column, which are its entries themselves.
COLUMN = Place("images_column", frozenset(), (), (), (), False, False, {}, {}, {})
_SCALARS = (str, bytes, bytearray, memoryview, int, float, list)
#: Mappings of any kind. Classes that are no ABC come first in such tuples: they are compared fast.
MAPPINGS = (dict, Mapping)
_NO_ITEMS = (dict, str, int, float, type(None), bytes, bytearray, memoryview, UserString)


def is_tuple_with_names(value: Any) -> bool:
    """True if a tuple is an object with fields: one of `NamedTuple`."""
    return isinstance(value, tuple) and hasattr(cast("tuple[Any, ...]", value), "_fields")


def _is_scalar(value: Any) -> bool:
    if isinstance(value, tuple):
        return not is_tuple_with_names(cast("tuple[Any, ...]", value))
    return value is None or isinstance(value, _SCALARS)


def field_of(part: Any, name: str) -> Any:
    """A key of a mapping or an attribute of an object; None if it is absent."""
    if isinstance(part, MAPPINGS):
        return cast("Mapping[str, Any]", part).get(name)
    if _is_scalar(part):
        return None
    value = getattr(part, name, None)
    # Objects of all kinds may have a method of that name; a method is never a source.
    return None if callable(value) else value


def said(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """Those of some keys or attributes that are there and not None, in the order of `names`."""
    if isinstance(value, MAPPINGS):
        get = cast("Mapping[str, Any]", value).get
        return {name: one for name in names if (one := get(name)) is not None}
    if _is_scalar(value):
        return {}
    return {name: one for name in names if (one := field_of(value, name)) is not None}


def fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys or attributes of a mapping or typed object, with their values."""
    if isinstance(value, MAPPINGS):
        yield from cast("Mapping[str, Any]", value).items()
        return
    if _is_scalar(value) or isinstance(value, type):
        return
    names = [*getattr(value, "_fields", ())] if is_tuple_with_names(value) else []
    names += [*getattr(value, "__struct_fields__", ()), *getattr(value, "__dict__", {})]
    names += getattr(value, "__pydantic_extra__", None) or ()
    for kind in cast(Any, type(value)).__mro__:
        slots = getattr(kind, "__slots__", ())
        names += (slots,) if isinstance(slots, str) else slots
    for kind in () if names else cast(Any, type(value)).__mro__:
        held = cast("Mapping[str, Any]", vars(cast("type", kind)))
        names += (name for name, one in held.items() if isinstance(one, property))
    for name in dict.fromkeys(names):
        if not name.startswith("__"):
            yield name, field_of(value, name)


def items_of(value: Any) -> Sequence[Any] | None:
    """The items of a list of any kind (also a NumPy array of objects); None for other values."""
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, _NO_ITEMS):
        return None
    if is_tuple_with_names(value):
        return None
    if isinstance(value, Sequence):
        return cast("Sequence[Any]", value)
    # Pandas and Arrow turn a list into an array of one dimension that contains objects.
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return list(value) if kind in ("O", "U") and value.ndim == 1 else None


def value_at(part: Any, at: Sequence[str]) -> Any:
    """The value at a path of keys; None if it is absent."""
    for name in at:
        part = field_of(part, name)
    return part


def place_of(part: Any) -> tuple[Place, Any] | None:
    """The first place of the table that the part fills, and the source there."""
    kind = field_of(part, "type")
    if kind is not None and not isinstance(kind, str):
        return None
    for place in _PLACES_OF.get(kind or "", ()):
        source = value_at(part, place.at)
        if source is None or isinstance(source, MAPPINGS) or (not kind and not _is_set(source)):
            continue
        if not all(_has(part, name) for name in place.having):
            continue
        if not isinstance(source, str) and hasattr(source, "url"):
            continue
        if place.media_type and not _is_image_type(value_at(part, place.media_type)):
            continue
        # The URL types of pydantic are objects.
        return place, str(source) if hasattr(source, "unicode_string") else source
    return None


def _has(part: Any, name: str) -> bool:
    return name in part if isinstance(part, MAPPINGS) else hasattr(part, name)


def _is_set(value: Any) -> bool:
    # A PIL image or an array may have no truth value; it is there, and that is enough.
    return bool(value) if isinstance(value, (str, bytes, int, float)) else True


def _is_image_type(declared: Any) -> bool:
    return isinstance(declared, str) and declared.lower().startswith(tuple(LOOKS_MEDIA_TYPES))


def write(part: Any, place: Place, template: _Template, values: Mapping[str, Any]) -> Any:
    """The part with a template's values in it; with none, `{url}` in place of the source."""
    if template:
        return _filled(part, template, values)
    made: Any = values["{url}"]
    for depth in range(len(place.at) - 1, -1, -1):
        made = changed(value_at(part, place.at[:depth]), {place.at[depth]: made})
    return made


def _filled(holder: Any, template: _Template, values: Mapping[str, Any]) -> Any:
    changes: dict[str, Any] = {}
    gone: set[str] = set()
    for name, wanted in template.items():
        if isinstance(wanted, str):
            changes[name] = None if wanted == "{none}" else values.get(wanted, wanted)
        elif wanted is not None:
            inner = field_of(holder, name)
            changes[name] = _filled({} if inner is None else inner, wanted, values)
        elif isinstance(holder, Mapping):
            gone.add(name)
        else:
            changes[name] = None
    made = changed(holder, changes)
    return {name: one for name, one in made.items() if name not in gone} if gone else made


def changed(value: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of the same kind (mapping, model, struct, dataclass, object) with fields changed."""
    if isinstance(value, Mapping):
        return {**cast("Mapping[str, Any]", value), **changes}
    if hasattr(value, "model_copy"):
        return value.model_copy(
            update={name: _typed(value, name, changes[name]) for name in changes}
        )
    if is_tuple_with_names(value):
        return value._replace(**changes)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **changes)
    clone = copy.copy(value)
    try:
        for name, field in changes.items():
            setattr(clone, name, field)
    except AttributeError:
        clone = None
    if clone is None:
        raise MMRawError("invalid_type", "expected an object whose fields can be set")
    return cast("object", clone)


def _typed(model: Any, name: str, value: Any) -> Any:
    """A dict as what the model's field holds, if the model takes it alone."""
    kind = cast(Any, type(model))
    if not isinstance(value, dict) or name not in kind.model_fields:
        return cast(object, value)
    try:
        return getattr(kind.model_validate({name: value}), name)
    except ValueError:
        return cast("dict[str, Any]", value)
