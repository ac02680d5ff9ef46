"""sha256, the only hash of this protocol."""

from __future__ import annotations


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """The 64 lower-case hex digits of the sha256 over `data`."""
    import hashlib  # here, since many importers of this package never hash

    return hashlib.sha256(data).hexdigest()


def mm_hash_of(digest: str) -> str:
    """The mm_hash that writers put on the wire: the first 32 of 64 hex digits."""
    return digest[:32]
