"""Three refs that must be rejected, and the errors they get."""

from __future__ import annotations

import msgspec

from ..materialize import Materializer
from ..stores import AssetStore
from ..wire.base64 import encode_base64url
from ..wire.errors import MMRawError
from ..wire.ref import RawMMRef, format_ref, parse_ref


class Refusal(msgspec.Struct, frozen=True):
    """A document that was tried, and the error that answered."""

    title: str
    code: str
    path: str
    message: str


def show_refusals(ref: str, store: AssetStore) -> list[Refusal]:
    """Three attacks or mistakes on a good v3 ref of a stored Qwen-VL image."""
    good = parse_ref(ref)
    attempts = (
        ("another image under this hash", _other_hash(good)),
        ("a file outside the store", _traversal(good)),
        ("a grid that lies about the image", _other_grid(good)),
    )
    materializer = Materializer(store, cache_bytes=0)
    return [_refused(title, text, materializer) for title, text in attempts]


def _other_hash(ref: RawMMRef) -> str:
    flipped = "0" if ref.mm_hash[0] != "0" else "1"
    return format_ref(msgspec.structs.replace(ref, mm_hash=flipped + ref.mm_hash[1:]))


def _traversal(ref: RawMMRef) -> str:
    # format_ref would refuse to write it, so it is written by hand, as an attacker would.
    fields = ref.fields() | {"raw_image_id": "../../../etc/passwd"}
    fields.pop("raw_uri", None)
    return "mmraw:v3:" + encode_base64url(msgspec.json.encode(fields))


def _other_grid(ref: RawMMRef) -> str:
    payload = {"image_grid_thw": [[1, 64, 64]]}
    fields = ref.fields() | {"payload": payload}
    return "mmraw:v3:" + encode_base64url(msgspec.json.encode(fields))


def _refused(title: str, text: str, materializer: Materializer) -> Refusal:
    try:
        materializer.materialize(text)
    except MMRawError as error:
        return Refusal(title, error.code, error.path, error.message)
    raise AssertionError("a bad ref was accepted")
