"""Payloads of families that are not built in: any JSON object within the limits."""

from __future__ import annotations

from typing import Any

from ._generated.limits import Limits
from .errors import MMRawError
from .json import canonical_json, check_json_value, has_tensor_key, processed_payload, to_builtins


def check_opaque_payload(value: Any, path: str, limits: Limits) -> None:
    """A JSON object within the limits of payloads that holds no processed tensors.

    Its canonical text counts, whatever spelling was received: what can be read can be written.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded,
            processed_payload.
    """
    if not isinstance(value, dict):
        raise MMRawError("invalid_type", "expected a JSON object", path)
    depth, values = limits.payload_depth, limits.payload_nodes
    check_json_value(value, max_depth=depth, max_values=values, path=path)
    if has_tensor_key(value):
        raise processed_payload(path)
    if len(canonical_json(to_builtins(value))) > limits.payload_bytes:
        message = f"the payload has more than {limits.payload_bytes} bytes of canonical JSON"
        raise MMRawError("limit_exceeded", message, path)
