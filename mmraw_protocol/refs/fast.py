"""The short way for plain refs of listed families; None sends a text the careful way.

What is proved, and how, once a typed decode without patterns has succeeded:

- Without the characters of names (letters, digits, `_.-`) a JSON text is a skeleton. Where that is
  the skeleton of the canonical text of the same fields, keys and strings consist of such characters
  alone, no escape and no blank stands anywhere, and as many keys were written as were found: none
  is unknown and none occurs twice.
- Sources with other characters (a `file:` label, an inline image) are taken out first and looked
  at by themselves.
- What is left are lengths, hex digits and beginnings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from .._generated.limits import Limits
from .._generated.plain import FINGERPRINT, MM_HASH, MODALITY, REF_V3_FAMILIES, PlainRefV3
from .._generated.wire import PAYLOADS
from ..codec.base64text import decode_standard, decode_url, encode_base64url
from ..codec.datauri import HEADS, LABEL_CHARACTERS, LABEL_LENGTH
from ..grids import is_plain_grid
from . import inline
from .checks import longest_object
from .model import RawMMRef, payload_grid

_NAME = MODALITY.allowed
_HEX = MM_HASH.allowed
_V3 = inline.PREFIX
_V2 = "mmraw:v2:"
#: A ref up to this length cannot exceed the limits that belong to inline images.
_SMALL = 8192
#: Labels are remembered where they are no longer than any that is accepted by default.
_LONGEST_LABELS = 2 * MODALITY.most + FINGERPRINT.most

_decode = msgspec.json.Decoder(PlainRefV3).decode
_encode = msgspec.json.Encoder().encode
_payload_decoders = {name: msgspec.json.Decoder(kind).decode for name, kind in PAYLOADS.items()}
_families = {kind: name for name, kind in PAYLOADS.items()}
_optional = {
    kind: tuple(f.name for f in msgspec.structs.fields(kind) if f.default is msgspec.UNSET)
    for kind in PAYLOADS.values()
}
_Refusal = (msgspec.MsgspecError, UnicodeError, RecursionError)

_skeletons: dict[Any, bytes] = {}


def parse_v3(text: str, limits: Limits, sink: inline.Sink | None = None) -> RawMMRef | None:
    """The ref of a plain text that starts with `mmraw:v3:`; an inline image's bytes go to `sink`.

    They may have gone there although the answer is None.
    """
    uri = None
    if len(text) > _SMALL:
        if len(text) // 4 * 3 > longest_object(limits):
            return None
        split = inline.read(text, limits, sink)
        if split is None:
            return None
        data, uri = split
    else:
        data = decode_url(text[len(_V3) :])
        if data is None:
            return None
        start = data.find(b'"data:image/')
        if start >= 0:
            parts = _without_image(data, start + 1, limits)
            if parts is None:
                return None
            data, uri, image = parts
            if sink is not None:
                sink(image)
    try:
        value = _decode(data)
    except _Refusal:
        return None
    if uri is not None:
        # What was taken out must have been the source, and no other field.
        if value.raw_uri != "":
            return None
    elif (uri := value.raw_uri) is not None:
        if not _is_label(uri, value.raw_image_id):
            return None
        data = data.replace(uri.encode("ascii"), b"", 1)
    ref = RawMMRef(
        family=REF_V3_FAMILIES[type(value)],
        fingerprint=value.fingerprint,
        mm_hash=value.mm_hash,
        modality=value.modality,
        payload=value.payload,
        raw_image_id=value.raw_image_id,
        raw_uri=uri,
        run_id=value.run_id,
    )
    return ref if _has_skeleton(data, ref) and _has_plain_fields(ref, limits) else None


def _without_image(data: bytes, start: int, limits: Limits) -> tuple[bytes, str, bytes] | None:
    """The object with "" for the data: URL at `start`, that URL, and the image in it."""
    comma = data.find(b",", start, start + 32) + 1
    end = data.find(b'"', comma)
    if data[start:comma] not in HEADS or end <= comma:
        return None
    uri = str(data[start:end], "latin-1")
    image = decode_standard(uri, comma - start)
    if image is None or len(image) > limits.inline_image_bytes:
        return None
    return data[:start] + data[end:], uri, image


def parse_v2(text: str, limits: Limits) -> RawMMRef | None:
    """The ref of a plain text that starts with `mmraw:v2:`."""
    if len(text) > limits.v2_ref_chars:
        return None
    parts = text.split(":")
    if len(parts) != 9 or text.encode("ascii").translate(None, _NAME) != b"::::::::":
        return None
    _, _, run_id, family, fingerprint, modality, mm_hash, raw_image_id, body = parts
    decode = _payload_decoders.get(family)
    data = decode_url(body)
    if decode is None or data is None or len(data) > limits.payload_bytes:
        return None
    try:
        payload = decode(data)
    except _Refusal:
        return None
    if _encode(payload) != data:
        return None
    ref = RawMMRef(
        dialect="v2",
        family=family,
        fingerprint=fingerprint,
        mm_hash=mm_hash,
        modality=modality,
        payload=payload,
        raw_image_id=raw_image_id,
        run_id=run_id,
    )
    return ref if _has_plain_fields(ref, limits) else None


def write(ref: RawMMRef, dialect: str, limits: Limits) -> str | None:
    """The canonical text of `ref` in v3 or v2, where its fields are plain."""
    payload, uri, name = ref.payload, ref.raw_uri, ref.raw_image_id
    if _families.get(type(payload)) != ref.family:
        return None
    labels = (type(ref.run_id), type(ref.fingerprint), type(ref.mm_hash), type(ref.modality))
    if labels != (str, str, str, str):
        return None
    if not (uri is None or type(uri) is str) or not (name is None or type(name) is str):
        return None
    is_inline = uri is not None and uri.startswith("data:")
    if uri is not None and not is_inline and not _is_label(uri, name):
        return None
    if dialect == "v2" and (uri is not None or name is None):
        return None
    if ref.dialect != "v3" or is_inline:
        ref = msgspec.structs.replace(ref, dialect="v3", raw_uri="" if is_inline else uri)
    try:
        written = _encode(payload)
        if _payload_decoders[ref.family](written) != payload:
            return None
        data = _encode(ref)
    except (*_Refusal, TypeError, ValueError):
        return None
    bare = data.replace(ref.raw_uri.encode("ascii"), b"", 1) if ref.raw_uri else data
    if not _has_skeleton(bare, ref) or not _has_plain_fields(ref, limits):
        return None
    if dialect == "v2":
        return _v2_text(ref, written, limits)
    if is_inline and uri is not None:
        if len(data) + len(uri) > longest_object(limits):
            return None
        return inline.write(data, data.index(b'"raw_uri":"') + 11, uri, limits)
    return _V3 + encode_base64url(data)


def _v2_text(ref: RawMMRef, payload: bytes, limits: Limits) -> str | None:
    if len(payload) > limits.payload_bytes:
        return None
    text = (
        f"{_V2}{ref.run_id}:{ref.family}:{ref.fingerprint}:{ref.modality}:{ref.mm_hash}"
        f":{ref.raw_image_id}:{encode_base64url(payload)}"
    )
    return text if len(text) <= limits.v2_ref_chars else None


def _has_skeleton(data: bytes, ref: RawMMRef) -> bool:
    """Whether `data`, its source taken out, is nothing but names in the canonical skeleton."""
    payload = ref.payload
    kind = type(payload)
    key: Any = (kind, ref.raw_image_id is None, ref.raw_uri is None)
    if _optional[kind]:
        key = (*key, *(getattr(payload, name) is msgspec.UNSET for name in _optional[kind]))
    expected = _skeletons.get(key)
    if expected is None:
        expected = _skeletons[key] = _skeleton(ref)
    return data.translate(None, _NAME) == expected


def _skeleton(ref: RawMMRef) -> bytes:
    """The skeleton of the canonical v3 object with the fields of `ref`."""
    blank = RawMMRef(
        family="",
        fingerprint="",
        mm_hash="",
        modality="",
        payload=ref.payload,
        raw_image_id=None if ref.raw_image_id is None else "",
        raw_uri=None if ref.raw_uri is None else "",
        run_id="",
    )
    return _encode(blank).translate(None, _NAME)


def _has_plain_fields(ref: RawMMRef, limits: Limits) -> bool:
    """Lengths, hex digits, beginnings and the grid, of fields that hold name characters alone."""
    run_id, fingerprint, mm_hash, name = ref.run_id, ref.fingerprint, ref.mm_hash, ref.raw_image_id
    if run_id is None or len(run_id) + len(fingerprint) + len(ref.modality) > _LONGEST_LABELS:
        return False
    longest = _longest_label(run_id, fingerprint, ref.modality, ref.family)
    if not 0 < longest <= limits.name_chars:
        return False
    if not MM_HASH.least <= len(mm_hash) <= MM_HASH.most:
        return False
    if mm_hash.encode("ascii").translate(None, _HEX):
        return False
    if name is None:
        if ref.raw_uri is None:
            return False
    elif len(name) > limits.raw_image_id_bytes or not _is_plain_name(name):
        return False
    return is_plain_grid(payload_grid(ref.payload), limits)


@lru_cache(maxsize=1024)
def _longest_label(run_id: str, fingerprint: str, modality: str, family: str) -> int:
    """Length of the longest label, 0 where one is not plain; a run repeats them in every ref."""
    if run_id.startswith(("run_", ".")) or not run_id or not modality:
        return 0
    if not FINGERPRINT.least <= len(fingerprint) <= FINGERPRINT.most:
        return 0
    if fingerprint.encode("ascii").translate(None, FINGERPRINT.allowed):
        return 0
    return max(len(run_id), len(modality), len(family))


def _is_plain_name(name: str) -> bool:
    """A stored image's name whose stem is longer than that of any device, with an extension."""
    return name.find(".") > 4 and name[0] != "-" and name[-1] != "."


def _is_label(uri: str, name: str | None) -> bool:
    """A file: URL of this machine whose last segment is `name`."""
    return (
        name is not None
        and len(uri) <= LABEL_LENGTH
        and uri.startswith("file:///")
        and uri.endswith(f"/{name}")
        and not uri.encode("ascii", "replace").translate(None, LABEL_CHARACTERS)
    )
