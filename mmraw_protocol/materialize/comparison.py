"""Comparison of a ref with its entries in the body and with the decoded image.

Source: spec/README.md, section "Order of checks".
"""

from __future__ import annotations

from typing import Any

from ..families import Adapter, placeholder_lengths
from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from ..wire.json import to_builtins
from ..wire.modality import check_modality
from ..wire.ref import Payload, RawMMRef


def compare_outer(ref: RawMMRef, mm_hash: str | None, modality: str | None) -> None:
    """The ref has the modality and the hash that are listed with it.

    Raises:
        MMRawError: modality_unsupported, modality_mismatch, hash_mismatch.
    """
    check_modality(ref.modality, "$.modality")
    if modality is not None and ref.modality != modality:
        message = "the ref's modality differs from the key it is listed under"
        raise MMRawError("modality_mismatch", message, "$.modality")
    if mm_hash is not None and ref.mm_hash != mm_hash:
        message = "expected the mm_hash that is listed for the ref, got another"
        raise MMRawError("hash_mismatch", message, "$.mm_hash")


def compare_fingerprint(ref: RawMMRef, adapter: Adapter) -> None:
    """The ref's layout parameters are the adapter's; a ref that names none passes.

    Raises:
        MMRawError: fingerprint_mismatch.
    """
    named = ref.fingerprint is not None
    if named and ref.fingerprint != adapter.fingerprint(ref.dialect):
        message = "expected the fingerprint of this processor's configuration, got another"
        raise MMRawError("fingerprint_mismatch", message, "$.fingerprint")


def compare_layout(
    ref: RawMMRef, adapter: Adapter, width: int, height: int, length: int | None, limits: Limits
) -> int:
    """The placeholder's length, after fingerprint, payload and length were compared.

    Args:
        ref: The ref.
        adapter: The processor's.
        width: Of the decoded image, in pixels.
        height: Likewise.
        length: The length of its placeholder; None takes that of the adapter's convention.
        limits: Of grids.

    Raises:
        MMRawError: fingerprint_mismatch, what `layout` and `parse_payload` raise, grid_mismatch,
            placeholder_mismatch.
    """
    compare_fingerprint(ref, adapter)
    layout = adapter.layout(width, height, limits=limits)
    if not agrees(adapter.parse_payload(ref.payload), layout.payload):
        message = "expected the payload that the image's size gives, got another"
        raise MMRawError("grid_mismatch", message, "$.payload")
    if length is None:
        return layout.placeholder_length
    if length not in placeholder_lengths(adapter, layout):
        wanted = " or ".join(map(str, sorted({*placeholder_lengths(adapter, layout)})))
        message = f"expected a placeholder of {wanted} tokens by family and grid, got {length}"
        raise MMRawError("placeholder_mismatch", message, "$.placeholder_length")
    return length


def agrees(given: Payload, layout: Payload) -> bool:
    """True if every given field has the value of the layout's payload."""
    if given == layout:
        return True
    pair: list[dict[str, Any]] = to_builtins((given, layout))
    fields, expected = pair
    return all(name in expected and expected[name] == value for name, value in fields.items())
