"""Are a ref's bytes those that it names? No pixel is decoded, and no inline image is held."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

import msgspec

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import RawMMRef
from ..wire.ref_stream import read_ref
from .base import verify_object

if TYPE_CHECKING:
    from . import AssetStore

__all__ = ["read_verified", "verify_digest", "verify_ref", "verify_source"]


def verify_ref(
    ref: RawMMRef | str,
    store: AssetStore | None = None,
    *,
    keep_uri: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[RawMMRef, str]:
    """The ref, and the 64 hex digits of the sha256 over its image's bytes, which fit it.

    The bytes of an inline image are hashed while the text is read, and are not held.

    Args:
        ref: A ref, parsed or as text.
        store: Where stored images are; None allows inline refs only.
        keep_uri: Whether the ref that is given back carries its inline image. Where only the
            verdict counts, False leaves its raw_uri None and saves the image's length in memory
            and a third of the time.
        limits: Of refs and images.

    Raises:
        MMRawError: the codes of `parse_ref`, source_unavailable, run_mismatch, hash_mismatch,
            object_corrupt, and those of the store.
    """
    found: str | None = None
    if isinstance(ref, str):
        digest = hashlib.sha256()
        ref, is_hashed = read_ref(ref, digest.update, keep_uri=keep_uri, limits=limits)
        found = digest.hexdigest() if is_hashed else None
    found = verify_digest(ref, found or sha256_hex(_bytes_of(ref, store, limits)))
    if ref.is_inline and not keep_uri:
        ref = msgspec.structs.replace(ref, raw_uri=None)
    return ref, found


def read_verified(
    ref: RawMMRef,
    store: AssetStore | None = None,
    *,
    run_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """The encoded bytes of a ref's image, read once and compared with mm_hash and raw_image_id.

    Args:
        ref: A parsed ref.
        store: Where stored images are; None allows inline refs only.
        run_id: The run of a ref that names none.
        limits: Of images.

    Raises:
        MMRawError: source_unavailable, run_mismatch, hash_mismatch, object_corrupt, and the store's
            codes.
    """
    data = _bytes_of(ref, store, limits, run_id)
    verify_source(ref, data)
    return data


def _bytes_of(
    ref: RawMMRef, store: AssetStore | None, limits: Limits, run_id: str | None = None
) -> bytes:
    if ref.is_inline:
        return parse_data_uri(cast(str, ref.raw_uri), limits=limits).data
    if store is None:
        message = "the ref names a stored image and no store was given"
        raise MMRawError("source_unavailable", message, "$.raw_image_id")
    run = ref.run_id if ref.run_id is not None else run_id
    store.check_run(run)
    return store.get(cast(str, ref.stored_name), run_id=run)


def verify_source(ref: RawMMRef, data: bytes) -> str:
    """The sha256 of `data`, after it was compared with mm_hash and raw_image_id.

    Raises:
        MMRawError: hash_mismatch, object_corrupt.
    """
    return verify_digest(ref, sha256_hex(data))


def verify_digest(ref: RawMMRef, digest: str) -> str:
    """The sha256 `digest`, compared with mm_hash and raw_image_id.

    Raises:
        MMRawError: hash_mismatch, object_corrupt.
    """
    if len(ref.mm_hash) not in (32, 64) or not digest.startswith(ref.mm_hash):
        message = "expected the first 32 or all 64 hex digits of the image's sha256, got others"
        raise MMRawError("hash_mismatch", message, "$.mm_hash")
    if ref.stored_name is not None:
        verify_object(b"", ref.stored_name, digest)
    return digest
