"""Refs of pictures as an adapter describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmraw_protocol import RawMMRef
    from mmraw_protocol.families import Adapter


def ref_of(adapter: Adapter, data: bytes, run_id: str = "exp42", **changes: Any) -> RawMMRef:
    """The ref of an encoded image; `changes` has its source, and fields to replace."""
    from mmraw_protocol import RawMMRef

    found = adapter.describe(data)
    fields: dict[str, Any] = {
        "family": adapter.family,
        "fingerprint": adapter.fingerprint(),
        "mm_hash": found.mm_hash,
        "modality": adapter.feature_modality,
        "payload": found.payload,
        "run_id": run_id,
    }
    return RawMMRef(**(fields | changes))
