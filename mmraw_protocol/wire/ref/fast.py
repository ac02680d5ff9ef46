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

from functools import cache
from typing import Any

import msgspec

from .._generated.limits import Limits
from .._generated.plain import MM_HASH, MODALITY, REF_V3_FAMILIES, PlainRefV3
from .._generated.types import KimiK25Payload, QwenVlPayload
from .._generated.wire import PAYLOADS
from ..base64 import LAST, PADDING, attempt, decode_standard, decode_url, encode_plain
from ..data_url import HEADS, LABEL_CHARACTERS, LABEL_LENGTH
from ..grids import is_plain_grid
from ..jsonbulk import has_long_integers
from . import inline, stored
from .checks import longest_object
from .model import RawMMRef, payload_grid
from .stored import FAMILY_OF, longest_label, payload_decoders, payload_text

_NAME = MODALITY.allowed
#: `~` would make a `-` of base64url.
_LABEL = LABEL_CHARACTERS.replace(b"~", b"")
_HEX = MM_HASH.allowed
V3 = inline.PREFIX
_V2 = "mmraw:v2:"
#: Longer objects are no plain ones: what is remembered of them stays small.
_PLAIN_BYTES = 4096
#: Most refs without an image are shorter.
_SHORT = 1024
#: A longer text is a plain one only where an inline image makes it so.
_SMALL = len(V3) + _PLAIN_BYTES // 3 * 4

_decode = msgspec.json.Decoder(PlainRefV3).decode
_encode = msgspec.json.Encoder().encode
_payload_decoders = {name: payload_decoders[kind] for name, kind in PAYLOADS.items()}
_Refusal = (msgspec.MsgspecError, UnicodeError, RecursionError)


def parse_v3(
    text: str, limits: Limits, sink: inline.Sink | None = None, keep_uri: bool = True
) -> RawMMRef | None:
    """The ref of a plain text that starts with `mmraw:v3:`; an inline image's bytes go to `sink`.

    They may have gone there although the answer is None. Without `keep_uri` the raw_uri of a long
    text is only the beginning of the right one.
    """
    image = None
    if len(text) > _SMALL:
        if len(text) // 4 * 3 > longest_object(limits):
            return None
        split = inline.read(text, limits, sink, keep_uri)
        if split is None:
            return None
        data, image = split
    else:
        # No character of a plain object makes a `+`, `/`, `-` or `_`: the decoder of the standard
        # alphabet does, and where it met any, the skeleton is another.
        size = len(text) - len(V3)
        data = attempt(text[len(V3) :] + PADDING[size & 3])
        if data is None or len(data) != size * 3 // 4 or text[-1] not in LAST[size & 3]:
            return None
    if len(data) > _PLAIN_BYTES:
        # Before anything is built of it: one wide character makes a string four times its length.
        return None
    if len(data) > _SHORT and has_long_integers(data):
        # Thousands of digits take long to decode, and are no part of any ref.
        return None
    is_known = False
    try:
        value = _decode(data)
        family, uri, name = REF_V3_FAMILIES[type(value)], value.raw_uri, value.raw_image_id
        if uri is None and name is not None:
            # What is written most is known by what would be written.
            written = stored.json_of(family, value, limits)
            is_known = written is not None and written.encode() == data
        if image is not None:
            # What was taken out must have been the source, and no other field.
            if uri != "":
                return None
            uri = image
        elif uri is not None:
            if not is_plain_source(uri, name, limits, sink):
                return None
            data = data.replace(uri.encode("ascii"), b"", 1)
        if not is_known and not _is_plain(value, family, data, uri, limits):
            return None
    except _Refusal:
        return None
    return RawMMRef(
        family=family,
        fingerprint=value.fingerprint,
        mm_hash=value.mm_hash,
        modality=value.modality,
        payload=value.payload,
        raw_image_id=name,
        raw_uri=uri,
        run_id=value.run_id,
    )


def _is_plain(value: PlainRefV3, family: str, data: bytes, uri: str | None, limits: Limits) -> bool:
    """Whether `data`, its raw_uri taken out, is canonical and all else is as it should be."""
    name = value.raw_image_id
    sources = (name is not None) + (uri is not None)
    longest = longest_label(value.run_id, value.fingerprint, value.modality, family)
    return (
        sources > 0
        and skeletons().get(data.translate(None, _NAME)) == sources
        and 0 < longest <= limits.name_chars
        and _is_hash(value.mm_hash)
        and (name is None or _has_plain_ends(name, limits))
        and is_plain_grid(payload_grid(value.payload), limits)
    )


def is_plain_source(
    uri: str, name: str | None, limits: Limits, sink: inline.Sink | None = None
) -> bool:
    """A small data: image whose base64 is canonical, or a label that ends in `name`."""
    if not uri.startswith("data:"):
        return _is_label(uri, name)
    comma = uri.find(",") + 1
    if uri[:comma].encode("ascii") not in HEADS or len(uri) == comma:
        return False
    image = decode_standard(uri, comma)
    if image is None or len(image) > limits.inline_image_bytes:
        return False
    if sink is not None:
        sink(image)
    return True


@cache
def skeletons() -> dict[bytes, int]:
    """The skeleton of each plain v3 object, and how many sources such an object has.

    Which source it is the skeleton does not tell; as many keys as it has were found.
    """
    result: dict[bytes, int] = {}
    grid = ((1, 1, 1),)
    payloads = [
        QwenVlPayload(image_grid_thw=grid),
        KimiK25Payload(grid_thws=grid),
        KimiK25Payload(grid_thws=grid, num_media_tokens=1),
    ]
    for payload in payloads:
        for name, uri in ((None, None), ("", None), ("", "")):
            blank = RawMMRef(
                family="",
                fingerprint="",
                mm_hash="",
                modality="",
                payload=payload,
                raw_image_id=name,
                raw_uri=uri,
                run_id="",
            )
            skeleton = _encode(blank).translate(None, _NAME)
            result[skeleton] = (name is not None) + (uri is not None)
    return result


def parse_v2(text: str, limits: Limits) -> RawMMRef | None:
    """The ref of a plain text that starts with `mmraw:v2:`."""
    if len(text) > limits.v2_ref_chars:
        return None
    parts = text.split(":")
    if len(parts) != 9 or text.encode("ascii", "replace").translate(None, _NAME) != b"::::::::":
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
    if not (
        0 < longest_label(run_id, fingerprint, modality, family) <= limits.name_chars
        and MM_HASH.least <= len(mm_hash) <= MM_HASH.most
        and not mm_hash.encode().translate(None, _HEX)
        and _has_plain_ends(raw_image_id, limits)
        and is_plain_grid(payload_grid(payload), limits)
    ):
        return None
    return RawMMRef(
        dialect="v2",
        family=family,
        fingerprint=fingerprint,
        mm_hash=mm_hash,
        modality=modality,
        payload=payload,
        raw_image_id=raw_image_id,
        run_id=run_id,
    )


def write(ref: RawMMRef, dialect: str, limits: Limits) -> str | None:
    """The canonical text of `ref` in v3 or v2, where its fields are plain.

    Nothing is known of the fields' types: whatever is not what it should be raises where it is used
    as such, and goes the careful way.
    """
    payload, uri, name = ref.payload, ref.raw_uri, ref.raw_image_id
    if dialect not in ("v3", "v2"):
        return None
    try:
        is_inline = uri is not None and uri.startswith("data:")
        if ref.dialect != "v3" or is_inline:
            ref = msgspec.structs.replace(ref, dialect="v3", raw_uri="" if is_inline else uri)
        data = _encode(ref)
        if len(data) > _PLAIN_BYTES or FAMILY_OF.get(type(payload)) != ref.family:
            return None
        longest = longest_label(ref.run_id, ref.fingerprint, ref.modality, ref.family)
        if not 0 < longest <= limits.name_chars or payload_text(payload, limits) is None:
            return None
        if name is None:
            if not is_inline or not _is_hash(ref.mm_hash):
                return None
        elif not _is_hash(ref.mm_hash) or not is_plain_name(name, limits):
            return None
        if dialect == "v2":
            return None if uri is not None or name is None else _v2_text(ref, limits)
        if is_inline and uri is not None:
            if len(data) + len(uri) > longest_object(limits):
                return None
            return inline.write(data, data.index(b'"raw_uri":"') + 11, uri, limits)
        if uri is not None and not _is_label(uri, name):
            return None
    except (*_Refusal, TypeError, ValueError, AttributeError, KeyError):
        return None
    return V3 + encode_plain(data)


def _v2_text(ref: RawMMRef, limits: Limits) -> str | None:
    payload = _encode(ref.payload)
    if len(payload) > limits.payload_bytes:
        return None
    parts: list[Any] = [ref.run_id, ref.family, ref.fingerprint, ref.modality, ref.mm_hash]
    parts += (ref.raw_image_id, encode_plain(payload))
    text = _V2 + ":".join(parts)
    return text if len(text) <= limits.v2_ref_chars else None


def are_plain_labels(
    run_id: str, fingerprint: str, modality: str, family: str, limits: Limits
) -> bool:
    """Labels by their lengths, characters and beginnings."""
    if len(run_id) + len(fingerprint) + len(modality) > _PLAIN_BYTES:
        return False
    return 0 < longest_label(run_id, fingerprint, modality, family) <= limits.name_chars


def _is_hash(mm_hash: str) -> bool:
    """An mm_hash by its length and digits."""
    return MM_HASH.least <= len(mm_hash) <= MM_HASH.most and not mm_hash.encode(
        "ascii", "replace"
    ).translate(None, _HEX)


def is_plain_name(name: str, limits: Limits) -> bool:
    """A stored image's name whose stem is longer than that of any device, with an extension."""
    return _has_plain_ends(name, limits) and not name.encode("ascii", "replace").translate(
        None, _NAME
    )


def _has_plain_ends(name: str, limits: Limits) -> bool:
    """The same for a name that holds plain characters alone."""
    return (
        name.find(".") > 4
        and name[0] != "-"
        and name[-1] != "."
        and len(name) <= limits.raw_image_id_bytes
    )


def _is_label(uri: str, name: str | None) -> bool:
    """A file: URL of this machine whose last segment is `name`."""
    return (
        name is not None
        and len(uri) <= LABEL_LENGTH
        and uri.startswith("file:///")
        and uri.endswith(f"/{name}")
        and not uri.encode("ascii", "replace").translate(None, _LABEL)
    )


#: By the first nine characters of a text: what reads it the short way.
READERS = {V3: parse_v3, _V2: parse_v2}
