"""The names of renderers' `mm_store` of the v3 time, on top of this package.

`from mmraw_protocol.legacy import mm_store` in place of `from renderers import mm_store`: the same
signatures, the same text for the same input, ValueError where it raised ValueError (MMRawError is
one). Where this is stricter, docs/mm_store.md says so and why. Payloads stay any JSON object, here
alone: `parse_ref` of this package also holds them against their family.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..families.fingerprint import is_omitted
from ..stores import LocalStore
from ..wire._generated.checks import (
    check_family,
    check_fingerprint,
    check_mm_hash,
    check_modality,
    check_raw_uri,
)
from ..wire._generated.dialects import DEFAULT_ITEM, ITEMS
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.base64 import decode_base64url, encode_base64url
from ..wire.check import expected
from ..wire.data_url import check_label_names
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.item import KIND
from ..wire.json import parse_json
from ..wire.ref import check_raw_image_id
from ..wire.ref import normalize_run_id as _normalize_run_id
from .run_directories import (
    IMAGE_ASSET_SUBDIR,
    IMAGE_OFFLOAD_DIR_ENV,
    IMAGE_STORAGE_ENV,
    IMAGE_STORAGE_INLINE,
    IMAGE_STORAGE_MODES,
    IMAGE_STORAGE_OFFLOAD,
    RUN_DIR_ENV,
    RUN_ID_ENV,
    RUN_OUTPUT_ROOT,
    current_run_id,
    image_storage_mode,
    normalize_run_id,
    run_dir,
    run_dir_name,
    run_image_dir,
)

__all__ = [
    "IMAGE_ASSET_SUBDIR",
    "IMAGE_OFFLOAD_DIR_ENV",
    "IMAGE_REF_PAYLOAD_KEY",
    "IMAGE_REF_PAYLOAD_VALUE",
    "IMAGE_REF_PREFIX",
    "IMAGE_REF_V2_PREFIX",
    "IMAGE_REF_VERSION",
    "IMAGE_STORAGE_ENV",
    "IMAGE_STORAGE_INLINE",
    "IMAGE_STORAGE_MODES",
    "IMAGE_STORAGE_OFFLOAD",
    "RAW_MM_ITEM_KIND",
    "RAW_MM_ITEM_VERSION",
    "RUN_DIR_ENV",
    "RUN_ID_ENV",
    "RUN_OUTPUT_ROOT",
    "RawMMRef",
    "current_run_id",
    "image_layout_fingerprint",
    "image_storage_mode",
    "is_raw_mm_ref",
    "normalize_run_id",
    "offload_image_to_run_assets",
    "raw_image_path",
    "raw_mm_item",
    "raw_mm_ref",
    "run_dir",
    "run_dir_name",
    "run_image_dir",
    "split_raw_mm_ref",
]


IMAGE_REF_PREFIX = "mmraw"
IMAGE_REF_V2_PREFIX = "mmraw:v2"
IMAGE_REF_VERSION = "v3"
IMAGE_REF_PAYLOAD_KEY = "_prime_rl_image_ref"
IMAGE_REF_PAYLOAD_VALUE = "raw_image"
RAW_MM_ITEM_KIND = KIND
RAW_MM_ITEM_VERSION = dict(ITEMS[DEFAULT_ITEM].constants)["version"]

_CHECKS = {
    "family": check_family,
    "modality": check_modality,
    "fingerprint": check_fingerprint,
    "mm_hash": check_mm_hash,
}
_BLANKS = str.maketrans("", "", " \t\r\n\v\f")
_V3_FIELDS = ("run_id", "family", "fingerprint", "modality", "mm_hash", "payload")
_V3_SOURCES = ("raw_uri", "raw_image_id")


@dataclass(frozen=True)
class RawMMRef:
    """The content of a ref of dialect v2 or v3."""

    run_id: str
    family: str
    fingerprint: str
    modality: str
    mm_hash: str
    payload: dict[str, object]
    raw_uri: str | None = None
    raw_image_id: str | None = None


def offload_image_to_run_assets(
    url: object, image_dir: Path | None = None
) -> tuple[str, int] | None:
    """Stores a base64 data: image in the run's images directory.

    Args:
        url: The source of an image part. Parameters and blanks in the base64 are tolerated.
        image_dir: The directory; `run_image_dir()` where none is given.

    Returns:
        Its file: URL and its size in bytes; None where `url` is no base64 data: image.

    Raises:
        MMRawError: invalid_base64, empty_source, limit_exceeded, and the store's codes.
    """
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return None
    _, marker, text = url.partition(";base64,")
    if not marker:
        return None
    data = _decode(text)
    store = LocalStore(Path(image_dir or run_image_dir()).resolve())
    return store.url(store.put(data)), len(data)


def _decode(text: str) -> bytes:
    most = DEFAULT_LIMITS.inline_image_bytes
    # By length first: blanks may make it a little longer, not twice as long.
    if len(text) > 2 * most:
        raise MMRawError("limit_exceeded", f"expected at most {most} bytes in an image, got more")
    try:
        return base64.b64decode(text.translate(_BLANKS), validate=True)
    except ValueError:
        pass
    raise MMRawError("invalid_base64", "expected base64 in the data: URL, got another character")


def raw_image_path(*, run_id: str, raw_image_id: str) -> Path:
    """Returns the path of a stored image of the run.

    Raises:
        MMRawError: invalid_raw_image_id, also where a symbolic link leads out of the directory.
        RuntimeError: The run's directory is not known.
    """
    check_raw_image_id(raw_image_id)
    root = run_image_dir(run_id)
    path = (root / raw_image_id).resolve()
    if not path.is_relative_to(root):
        message = "expected a file in the images directory, got a symbolic link out of it"
        raise MMRawError("invalid_raw_image_id", message, "$.raw_image_id")
    return path


def image_layout_fingerprint(*, family: str, **values: object) -> str:
    """32 hex digits over layout parameters; other objects than JSON's count by `str`.

    Raises:
        MMRawError: invalid_value.
    """
    check_family(family, "$.family", DEFAULT_LIMITS)
    hashed = sorted(name for name, value in values.items() if not is_omitted(family, name, value))
    parameters = (f"{name}={_dump(values[name], default=str)}" for name in hashed)
    return sha256_hex(f"image-layout:v1:{family}:{':'.join(parameters)}".encode())[:32]


def raw_mm_item(
    *,
    modality: str,
    family: str,
    layout_fingerprint: str,
    payload: dict[str, object],
    raw_uri: str | None = None,
    raw_image_id: str | None = None,
    vllm_modality: str | None = None,
) -> dict[str, object]:
    """The envelope of an image, marked where it names a source; `payload` is kept as it is.

    Raises:
        MMRawError: invalid_value.
    """
    check_family(family, "$.family", DEFAULT_LIMITS)
    check_modality(modality, "$.modality", DEFAULT_LIMITS)
    check_fingerprint(layout_fingerprint, "$.layout_fingerprint", DEFAULT_LIMITS)
    item: dict[str, object] = {
        "kind": RAW_MM_ITEM_KIND,
        "version": RAW_MM_ITEM_VERSION,
        "modality": modality,
        "family": family,
        "layout_fingerprint": layout_fingerprint,
        "payload": payload,
    }
    optional = {
        "vllm_modality": vllm_modality,
        "raw_uri": raw_uri,
        IMAGE_REF_PAYLOAD_KEY: None,
        "raw_image_id": raw_image_id,
    }
    if raw_uri is not None or raw_image_id is not None:
        optional[IMAGE_REF_PAYLOAD_KEY] = IMAGE_REF_PAYLOAD_VALUE
    item.update({name: value for name, value in optional.items() if value is not None})
    return item


def raw_mm_ref(
    *,
    run_id: str,
    family: str,
    fingerprint: str,
    modality: str,
    mm_hash: str,
    raw_image_id: str | None = None,
    raw_uri: str | None = None,
    payload: dict[str, object] | None = None,
) -> str:
    """A v3 ref; what is written is what `split_raw_mm_ref` reads.

    Raises:
        MMRawError: invalid_run_id, invalid_value, invalid_type, missing_source,
            invalid_raw_image_id, invalid_raw_uri, invalid_base64, limit_exceeded.
    """
    fields: dict[str, object] = {
        "run_id": normalize_run_id(run_id),
        "family": family,
        "fingerprint": fingerprint,
        "modality": modality,
        "mm_hash": mm_hash,
        "payload": payload or {},
    }
    sources = {"raw_image_id": raw_image_id, "raw_uri": raw_uri}
    fields |= {name: value for name, value in sources.items() if value is not None}
    body = encode_base64url(_dump(fields).encode("ascii"))
    text = f"{IMAGE_REF_PREFIX}:{IMAGE_REF_VERSION}:{body}"
    split_raw_mm_ref(text)
    return text


def _dump(value: object, **options: Any) -> str:
    """Canonical JSON as the writers of the field write it, also of keys that are no strings."""
    failed = ""
    try:
        nan = "default" in options  # a fingerprint is hashed, never read
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=nan, **options)
    except ValueError:
        failed = "expected JSON, got NaN, Infinity or a circular reference"
    except RecursionError:
        failed = "expected JSON, got a value that is nested too deep"
    except TypeError:
        failed = "expected values of JSON types, got another type"
    raise MMRawError("invalid_value", failed, "$.payload")


def split_raw_mm_ref(ref: str) -> RawMMRef:
    """Reads a ref of dialect v2 or v3, its payload as any JSON object.

    Raises:
        MMRawError: not_a_ref, unsupported_dialect, and the codes of the wire (spec/README.md).
    """
    if not isinstance(ref, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MMRawError("invalid_type", expected("a ref, a string", ref))
    _check_length(len(ref))
    parts = ref.split(":")
    if parts[:2] == ["mmraw", "v2"] and len(parts) == 9:
        names = ("run_id", "family", "fingerprint", "modality", "mm_hash", "raw_image_id")
        fields: dict[str, Any] = dict(zip(names, parts[2:8], strict=True))
        fields["payload"] = _object(decode_base64url(parts[8], "$.payload"), "$.payload")
        return _checked(fields)
    if parts[:2] != [IMAGE_REF_PREFIX, IMAGE_REF_VERSION] or len(parts) != 3:
        raise MMRawError(
            "unsupported_dialect",
            f"expected a ref of dialect v2 or v3, got {len(parts)} other parts",
        )
    return _checked(_object(decode_base64url(parts[2]), "$"))


def _check_length(size: int) -> None:
    limits = DEFAULT_LIMITS
    if size > 2 * limits.inline_image_bytes + limits.payload_bytes:
        message = f"expected a ref within the limits, got one of {size} characters"
        raise MMRawError("limit_exceeded", message)


def _object(data: bytes, path: str) -> dict[str, Any]:
    value = parse_json(data, path=path)
    if not isinstance(value, dict):
        raise MMRawError("invalid_type", expected("a JSON object", value), path)
    return cast("dict[str, Any]", value)


def _checked(fields: dict[str, Any]) -> RawMMRef:
    """The ref that the fields say, after every rule of the wire but those of families."""
    for name in _V3_FIELDS:
        if name not in fields:
            raise MMRawError(
                "missing_field", f"expected field {name}, which is absent", f"$.{name}"
            )
    known = sorted([*_V3_FIELDS, *_V3_SOURCES])
    if fields.keys() - {*known}:
        raise MMRawError("unknown_field", f"expected no other fields than {', '.join(known)}")
    if not isinstance(payload := fields["payload"], dict):
        raise MMRawError("invalid_type", expected("a JSON object", payload), "$.payload")
    for name in _V3_SOURCES:
        if not isinstance(value := fields.get(name), (str, type(None))):
            raise MMRawError("invalid_type", expected("a string", value), f"$.{name}")
    for name, check in _CHECKS.items():
        check(fields[name], f"$.{name}", DEFAULT_LIMITS)
    fields["run_id"] = _normalize_run_id(fields["run_id"])
    ref = RawMMRef(**fields)
    if ref.raw_uri is not None:
        check_raw_uri(ref.raw_uri, "$.raw_uri", DEFAULT_LIMITS)
    if ref.raw_image_id is not None:
        check_raw_image_id(ref.raw_image_id)
    if ref.raw_uri is None and ref.raw_image_id is None:
        raise MMRawError("missing_source", "expected raw_image_id or raw_uri, got neither")
    check_label_names(ref.raw_uri, ref.raw_image_id, named=True)
    return ref


def is_raw_mm_ref(ref: object) -> bool:
    """True if it is a string that starts as refs do; it may still be refused."""
    return isinstance(ref, str) and ref.startswith(f"{IMAGE_REF_PREFIX}:")
