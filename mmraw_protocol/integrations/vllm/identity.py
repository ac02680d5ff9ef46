"""What vLLM files the picture of a ref under."""

from __future__ import annotations

import uuid

from ...wire.hashes import sha256_hex

#: The EXIF tag (ImageID) by which vLLM takes a UUID as an image's identity, and hashes no pixels.
IMAGE_ID_TAG = 0x800D
#: Enters every identity. A change of how bytes become pixels changes this.
_PIXEL_RULE = "mmraw:rgb:v1"


def identity_of(sha256: str) -> uuid.UUID:
    """What vLLM files the picture of a file under, by the file's 64 hex digits.

    vLLM's own identity of the same file hashes its bytes with other framing, so the two never
    meet: stock loading turns by EXIF and puts alpha on white, and has other pixels.
    """
    return uuid.UUID(hex=sha256_hex(f"{_PIXEL_RULE}:{sha256}".encode("ascii"))[:32])
