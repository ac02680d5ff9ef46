"""Notes on a ref or an envelope: its image, form, family and tokens."""

from __future__ import annotations

import contextlib
from functools import lru_cache

from ..families import get_adapter
from ..stores.names import digest_in
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import mm_hash_of, sha256_hex
from ..wire.item import RawMMItem
from ..wire.ref import RawMMRef
from .facts import Note

_adapter_of = lru_cache(64)(get_adapter)


def notes_of(image: RawMMRef | RawMMItem) -> list[Note]:
    """Notes on a ref or an envelope that was parsed."""
    data: bytes | None = None
    if image.raw_uri is not None and image.raw_uri.startswith("data:"):
        data = parse_data_uri(image.raw_uri).data
    if isinstance(image, RawMMRef):
        name, form = image.mm_hash, "ref"
    else:
        digest = digest_in(image.raw_image_id or "") if data is None else sha256_hex(data)
        name, form = mm_hash_of(digest or ""), "envelope"
    notes = [(f"image:{name}", len(data or b"")), (f"form:{form} {image.dialect}", 1)]
    notes.append((f"family:{image.family}", 1))
    with contextlib.suppress(MMRawError):
        tokens = _adapter_of(image.family).num_tokens(image.payload)
        notes.append((f"tokens:{image.family}", tokens))
    return notes
