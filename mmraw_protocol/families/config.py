"""Reads a configuration (layout parameters, or what a processor saves) into a typed struct.

Where each parameter stands, and what an absent one or null means, says spec/families/<name>/: what
the image processors of Transformers 5.24 do with the same configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from ..wire._generated.families import FamilyInfo
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.errors import MMRawError
from ..wire.json import canonical_json, check_json_value
from .given import Given, type_of
from .owner import check_owner

Config = TypeVar("Config", bound=msgspec.Struct)
Object = Mapping[str, Any]

_ABSENT: Any = object()
_SIDES = ("height", "width")


def parameters_in(given: Given, info: FamilyInfo) -> dict[str, Any]:
    """The layout parameters of a configuration of the family, unchecked.

    Raises:
        MMRawError: invalid_config.
    """
    if _only_parameters(given, info):
        return found_in(_without_nulls(given.processor, info), info)
    check_owner(given, info)
    kind = type_of(given.processor)
    document = _without_nulls(given.processor, info)
    _check_fixed(document, info, given.path)
    _check_size(document, info, given.path)
    whole = document if given.whole is None else given.whole
    found = _found(document, whole, info, given.path)
    types = info.image_processor_types
    own_model = given.model_type is not None and (
        given.model_type not in info.configuration.shared_model_types
    )
    if kind is None and not (given.complete and own_model):
        _check_required(found, info)
    defaults = types[kind] if kind is not None else next(iter(types.values()))
    return {**msgspec.structs.asdict(info.layout()), **defaults, **found}


def _only_parameters(given: Given, info: FamilyInfo) -> bool:
    """True if there are only layout parameters: any of a mapping, or all of a file."""
    names = set(info.config_names)
    places = (place for places in info.config_names.values() for place in places)
    names.update(key for place in places for key in place.split("="))
    keys = given.processor.keys()
    if given.whole is not None or not keys <= names:
        return False
    return given.mapping or set(info.required) <= keys


def _without_nulls(document: Object, info: FamilyInfo) -> dict[str, Any]:
    """The document's values, with null read as an absent key or as another value."""
    given = dict(document)
    for name, value in info.configuration.null.items():
        if name in given and given[name] is None:
            if value is None:
                del given[name]
            else:
                given[name] = value
    return given


def _check_fixed(document: Object, info: FamilyInfo, path: str) -> None:
    for name, values in info.configuration.fixed.items():
        if name in document and not any(_same(document[name], value) for value in values):
            allowed = " or ".join(map(canonical_json, values))
            message = f"expected {allowed}: no other value has a layout"
            raise MMRawError("invalid_config", message, f"{path}.{name}")


def _check_size(document: Object, info: FamilyInfo, path: str) -> None:
    """Checks that `size` has one of the sets of keys that the processor takes."""
    if "size" not in document:
        return
    configuration = info.configuration
    keys = _keys_of(document["size"], square=configuration.square)
    if keys is not None:
        # A bound at the top level means the key of `size`, and its own name there.
        for places in info.config_names.values():
            top = next((place for place in places if "." not in place), None)
            inner = next((p[5:] for p in places if p.startswith("size.")), None)
            if top is not None and inner is not None and top in document and "=" not in inner:
                keys = (keys - {top}) | {inner}
    if keys is None or not any(keys == set(form) for form in configuration.sizes):
        forms = " or ".join(" and ".join(form) for form in configuration.sizes)
        raise MMRawError("invalid_config", f"expected {forms}, and no other key", f"{path}.size")


def _keys_of(size: Any, *, square: bool) -> set[str] | None:
    """The keys that a value of `size` has or means; None for no size."""
    if isinstance(size, Mapping):
        return {key for key, value in cast(Object, size).items() if value is not None}
    if isinstance(size, (list, tuple)):
        return set(_SIDES) if len(cast("list[Any]", size)) == len(_SIDES) else None
    if type(size) is int:
        return set(_SIDES) if square else {"shortest_edge"}
    return None


def _check_required(found: Object, info: FamilyInfo) -> None:
    missing = [name for name in info.required if name not in found]
    if missing:
        message = f"expected image_processor_type, or all of {', '.join(info.required)}"
        raise MMRawError("invalid_config", message)


def found_in(values: Object, info: FamilyInfo) -> dict[str, Any]:
    """The layout parameters among values that change a configuration, by whichever name.

    Raises:
        MMRawError: invalid_config.
    """
    named = {name: value for name, value in values.items() if name in info.config_names}
    return {**_found(values, values, info, "$"), **named}


def _found(document: Object, whole: Object, info: FamilyInfo, path: str) -> dict[str, Any]:
    """The layout parameters that a configuration has."""
    configuration = info.configuration
    rows: dict[str, Any] = {}
    for name, places in info.config_names.items():
        of_whole = name in configuration.whole
        source, start = (whole, "$") if of_whole else (document, path)
        if configuration.agreeing:
            places = ("=".join(places),)
        rows[name] = _value(source, places, start, square=configuration.square)
    return {name: value for name, value in rows.items() if value is not _ABSENT}


def _value(document: Object, places: tuple[str, ...], path: str, *, square: bool) -> Any:
    """The value at the first place that has one.

    Raises:
        MMRawError: invalid_config (two sides that differ, or something of another form).
    """
    for place in places:
        found = {key: _at(document, key, square=square) for key in place.split("=")}
        values = [value for value in found.values() if value is not _ABSENT]
        if not values:
            continue
        for key, value in found.items():
            if value is not _ABSENT and not _same(value, values[0]):
                message = f"expected the same as in {place.replace('=', ' and ')}"
                raise MMRawError("invalid_config", message, f"{path}.{key}")
        return values[0]
    for place in places:
        keys = place.split("=")
        heads = sorted({key.partition(".")[0] for key in keys if "." in key})
        # The sides of one object, of which neither is there.
        sides = len(heads) == 1 and len(keys) > 1 and all("." in key for key in keys)
        for head in heads:
            if head in document and (sides or not isinstance(document[head], Mapping)):
                message = f"expected {' or '.join(places)}".replace("=", " and ")
                raise MMRawError("invalid_config", message, f"{path}.{head}")
    return _ABSENT


def _at(document: Object, place: str, *, square: bool) -> Any:
    """The value under a path of keys, which may also be one key."""
    if place in document:
        return document[place]
    node: Any = document
    for key in place.split("."):
        if isinstance(node, Mapping):
            node = cast(Object, node).get(key, _ABSENT)
        elif key in _SIDES and isinstance(node, (list, tuple)):
            sides = cast("list[Any]", node)
            node = sides[_SIDES.index(key)] if len(sides) == len(_SIDES) else _ABSENT
        elif not (key in _SIDES and square and type(node) is int):
            return _ABSENT
    return node


def _same(value: Any, other: Any) -> bool:
    """True if two values are equal and of one type: true is not 1."""
    lists = [cast("list[Any]", one) for one in (value, other) if isinstance(one, (list, tuple))]
    if len(lists) == 2:
        return len(lists[0]) == len(lists[1]) and all(map(_same, *lists))
    return type(value) is type(other) and value == other


def typed_config(parameters: Object, kind: type[Config]) -> Config:
    """Layout parameters as a struct of a family that is not built in.

    Raises:
        MMRawError: invalid_config.
    """
    try:
        # Integers that no reader keeps would fail later, in the fingerprint.
        check_json_value(dict(parameters))
        return msgspec.convert(dict(parameters), kind)
    except (MMRawError, msgspec.ValidationError):
        pass
    message = f"expected the layout parameters {', '.join(kind.__struct_fields__)}"
    raise MMRawError("invalid_config", message)


def checked_config(parameters: Object, info: FamilyInfo) -> Any:
    """The layout parameters as the struct of a built-in family.

    Raises:
        MMRawError: invalid_config, naming the parameter.
    """
    document = dict(parameters)
    try:
        # Integers that no reader keeps would fail later, in the fingerprint.
        check_json_value(document)
        info.check_layout(document, "$", DEFAULT_LIMITS)
        return msgspec.convert(document, info.layout)
    except MMRawError as error:
        reason = error
    raise MMRawError("invalid_config", reason.message, reason.path)
