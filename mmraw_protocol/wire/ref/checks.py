"""The rules of single fields, and those that no schema can say."""

from __future__ import annotations

import msgspec

from .._generated import types
from .._generated.limits import DEFAULT_LIMITS, Limits
from .._generated.types import KimiK25Payload, QwenVlPayload
from ..data_url import check_data_uri, parse_file_label
from ..errors import MMRawError
from ..grids import check_grid
from .model import Payload


def normalize_run_id(text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.run_id") -> str:
    """A run label with one leading `run_` taken off.

    Raises:
        MMRawError: invalid_type, invalid_run_id, limit_exceeded.
    """
    _check_string("RunId", text, path)
    return run_label(text, limits, path)


def run_label(text: str, limits: Limits, path: str = "$.run_id") -> str:
    """`normalize_run_id` of text that fits the schema.

    Raises:
        MMRawError: limit_exceeded.
    """
    if len(text) > limits.name_chars:
        message = f"run_id is longer than {limits.name_chars} characters"
        raise MMRawError("limit_exceeded", message, path)
    return text.removeprefix("run_")


def check_raw_image_id(
    text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.raw_image_id"
) -> str:
    """`text` if it is a safe file name for a stored image.

    Raises:
        MMRawError: invalid_type, invalid_raw_image_id, limit_exceeded.
    """
    _check_string("RawImageId", text, path)
    _check_name_length(text, limits, path)
    return text


def _check_name_length(text: str, limits: Limits, path: str) -> None:
    if len(text) > limits.raw_image_id_bytes:
        message = f"raw_image_id is longer than {limits.raw_image_id_bytes} bytes"
        raise MMRawError("limit_exceeded", message, path)


def _check_string(name: str, value: str, path: str) -> None:
    """Holds `value` against a string definition of spec/."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", "expected a string", path)
    failed: msgspec.ValidationError | None = None
    try:
        msgspec.convert(value, getattr(types, name))
    except msgspec.ValidationError as error:
        failed = error
    if failed is not None:
        code = "invalid_run_id" if name == "RunId" else "invalid_raw_image_id"
        hint = "a plain run label" if name == "RunId" else "a plain file name"
        raise MMRawError(code, f"expected {hint} of A-Z a-z 0-9 _ . - (see the schema)", path)


def longest_object(limits: Limits) -> int:
    """Most bytes of a ref's JSON: an inline image in base64, a payload, and the other fields."""
    return limits.inline_image_bytes // 3 * 4 + 4 + limits.payload_bytes + 8192


def check_payload(
    payload: Payload, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.payload"
) -> None:
    """The family-level rules of a typed payload where no configuration is at hand.

    Raises:
        MMRawError: invalid_grid, limit_exceeded.
    """
    if isinstance(payload, QwenVlPayload):
        check_grid(payload.image_grid_thw[0], limits=limits, path=f"{path}.image_grid_thw")
    elif isinstance(payload, KimiK25Payload):
        check_grid(payload.grid_thws[0], limits=limits, path=f"{path}.grid_thws")


def check_sources(
    raw_uri: str | None, raw_image_id: str | None, limits: Limits, *, alone: bool = False
) -> None:
    """At least one source, each well-formed; a file: label agrees with raw_image_id.

    `alone` allows a file: URL without raw_image_id (dialect unversioned-uri).

    Raises:
        MMRawError: missing_source, invalid_raw_uri, invalid_raw_image_id, invalid_base64,
            empty_source, limit_exceeded.
    """
    if raw_image_id is not None:
        # What comes from a ref fits the schema; a long one is not looked at again.
        _check_name_length(raw_image_id, limits, "$.raw_image_id")
        check_raw_image_id(raw_image_id, limits=limits)
    if raw_uri is None:
        if raw_image_id is None:
            raise MMRawError("missing_source", "neither raw_image_id nor raw_uri is given")
        return
    if raw_uri.startswith("data:"):
        check_data_uri(raw_uri, limits=limits)
        return
    name = parse_file_label(raw_uri)
    check_raw_image_id(name, limits=limits, path="$.raw_uri")
    if not alone and name != raw_image_id:
        message = "a file: label must stand beside a raw_image_id equal to its last segment"
        raise MMRawError("invalid_raw_uri", message, "$.raw_uri")
