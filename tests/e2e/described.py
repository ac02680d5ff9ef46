"""Refs of pictures that a test makes, for every suite that starts a server."""

from typing import Any

from mmraw_protocol.families import Adapter


def fields_of(adapter: Adapter, data: bytes, run_id: str) -> dict[str, Any]:
    """The fields of a ref of an encoded image, but for its source."""
    found = adapter.describe(data)
    return {
        "family": adapter.family,
        "fingerprint": adapter.fingerprint(),
        "mm_hash": found.mm_hash,
        "modality": adapter.feature_modality,
        "payload": found.payload,
        "run_id": run_id,
    }
