"""Payloads of families that spec/ does not list: any JSON object within the limits."""

from __future__ import annotations

from typing import Any, cast

from . import fastpath, jsonbulk
from ._generated.limits import DEFAULT_LIMITS, Limits
from .errors import MMRawError
from .json import (
    PROCESSED_KEYS,
    check_leaf,
    children,
    names_processed,
    parse_json,
    processed_payload,
    walk,
)


def read_payload(data: bytes | memoryview, limits: Limits) -> dict[str, Any]:
    """An opaque payload, from its JSON text.

    Raises:
        MMRawError: what `parse_json` and `check_payload_value` raise.
    """
    data = bytes(data)
    value = parse_json(data, max_depth=limits.payload_depth, path="$.payload")
    if (
        fastpath.enabled
        and isinstance(value, dict)
        # Each value but the outermost stands behind a comma or an opening bracket.
        and not jsonbulk.holds_more(data, limits.payload_nodes - 1)
        and not names_processed(value)
    ):
        return cast("dict[str, Any]", value)
    return check_payload_value(value, limits=limits)


def check_payload_value(
    value: Any, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.payload"
) -> dict[str, Any]:
    """An opaque payload: a JSON object within the limits that holds no processed tensors.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded,
            processed_payload.
    """
    if not isinstance(value, dict):
        raise MMRawError("invalid_type", "expected a JSON object", path)
    for count, (item, depth) in enumerate(walk(cast(Any, value)), start=1):
        if depth > limits.payload_depth and children(item) is not None:
            message = f"nested deeper than {limits.payload_depth} levels"
            raise MMRawError("limit_exceeded", message, path)
        if count > limits.payload_nodes:
            raise MMRawError("limit_exceeded", f"more than {limits.payload_nodes} values", path)
        check_leaf(item, path)
        if isinstance(item, dict) and not PROCESSED_KEYS.isdisjoint(cast("dict[str, Any]", item)):
            raise processed_payload(path)
    return cast("dict[str, Any]", value)
