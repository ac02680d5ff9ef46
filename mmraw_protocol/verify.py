"""Are a ref's bytes those that it names? No pixel is decoded, and no inline image is held."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from . import fastpath
from ._generated.limits import DEFAULT_LIMITS, Limits
from .codec import parse_data_uri, sha256_hex
from .errors import MMRawError
from .materialize import verify_digest
from .refs import RawMMRef, fast, parse_ref

if TYPE_CHECKING:
    from .assets import AssetStore

__all__ = ["verify_ref"]


def verify_ref(
    ref: RawMMRef | str, store: AssetStore | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> tuple[RawMMRef, str]:
    """The ref, and the 64 hex digits of the sha256 over its image's bytes, which fit it.

    The bytes of an inline image are hashed while the text is read, and are not held.

    Raises:
        MMRawError: the codes of `parse_ref`, source_unavailable, run_mismatch, hash_mismatch,
            object_corrupt, and those of the store.
    """
    if isinstance(ref, str):
        digest = hashlib.sha256()
        plain = None
        if fastpath.enabled and ref.startswith(fast.V3):
            plain = fast.parse_v3(ref, limits, digest.update)
        if plain is not None and plain.is_inline:
            return plain, verify_digest(plain, digest.hexdigest())
        ref = parse_ref(ref, limits=limits) if plain is None else plain
    return ref, verify_digest(ref, sha256_hex(_bytes_of(ref, store, limits)))


def _bytes_of(ref: RawMMRef, store: AssetStore | None, limits: Limits) -> bytes:
    if ref.is_inline:
        return parse_data_uri(cast(str, ref.raw_uri), limits=limits).data
    if store is None:
        message = "the ref names a stored image and no store was given"
        raise MMRawError("source_unavailable", message, "$.raw_image_id")
    store.check_run(ref.run_id)
    return store.get(cast(str, ref.stored_name), run_id=ref.run_id)
