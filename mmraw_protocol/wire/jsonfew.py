"""JSON text of refs and envelopes whose family spec/ lists: lawful ones hold few values.

What is built of few values costs little, so that refusals do.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from . import jsonbulk
from ._generated.limits import Limits
from ._generated.wire import PAYLOADS
from .errors import MMRawError
from .json import MAX_DEPTH, PROCESSED_KEYS, PROCESSED_KEYS_BYTES, processed_payload

#: JSON text of the name of a listed family is shorter, however it is escaped.
_LONGEST_NAME = 256
# Some floats take msgspec ten times as long as Python.
_decode = msgspec.json.Decoder(float_hook=float).decode


def check_few_values(data: bytes, limits: Limits, path: str = "$") -> None:
    """Refuses JSON of a listed family's ref, envelope or payload that holds too many values.

    Raises:
        MMRawError: processed_payload (where a key of theirs is spelt in it), limit_exceeded.
    """
    if not jsonbulk.holds_more(data, limits.listed_values, is_json=True):
        return
    spelt = any(jsonbulk.is_spelt_as_key(name, data) for name in PROCESSED_KEYS_BYTES)
    if spelt and not jsonbulk.is_deeper(data, MAX_DEPTH):
        raise processed_payload(path)
    message = f"more than {limits.listed_values} values, where this family has some twenty"
    raise MMRawError("limit_exceeded", message, path)


class _Named(msgspec.Struct):
    family: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def names_listed_family(data: bytes) -> bool:
    """Whether text is a JSON object whose family spec/ lists."""
    # What is passed over may be any bytes.
    if not jsonbulk.is_utf8(data):
        return False
    try:
        return listed_family(msgspec.json.decode(data, type=_Named).family) is not None
    except (msgspec.MsgspecError, RecursionError):
        return False


def listed_family(family: msgspec.Raw | msgspec.UnsetType) -> str | None:
    """The listed family that JSON text names, where it does; no long text is decoded."""
    if family is msgspec.UNSET or len(family) > _LONGEST_NAME or bytes(family)[:1] != b'"':
        return None
    name = msgspec.json.decode(family, type=str)
    return name if name in PAYLOADS else None


def parse_few_json(data: bytes, path: str) -> Any:
    """`parse_json` of text that `check_few_values` let pass, and that holds no processed tensors.

    Raises:
        MMRawError: what `check_few_json` raises.
    """
    check_few_json(data, path)
    return _decode(data)


def check_few_json(data: bytes, path: str) -> None:
    """What `check_raw_json` refuses, for JSON text that `check_few_values` let pass.

    Raises:
        MMRawError: invalid_value, duplicate_key, processed_payload.
    """
    fault = jsonbulk.number_fault_of(data, path)
    if fault is not None:
        raise fault
    value = jsonbulk.build(data)
    keys = _keys_of(value)
    if jsonbulk.holds_key_twice(data, value, len(keys)):
        raise jsonbulk.key_twice(path)
    if not PROCESSED_KEYS.isdisjoint(keys):
        raise processed_payload(path)


def _keys_of(value: Any) -> list[str]:
    """The keys of all objects in a value."""
    if type(value) is dict:
        found = cast("dict[str, Any]", value)
        keys, below = list(found), found.values()
    elif type(value) is list:
        keys, below = [], cast("list[Any]", value)
    else:
        return []
    for item in below:
        if type(item) is dict or type(item) is list:
            keys += _keys_of(item)
    return keys
