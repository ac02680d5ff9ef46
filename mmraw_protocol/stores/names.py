"""Names of stored images."""

from __future__ import annotations

import re

_HASH_STEM = re.compile(r"([a-f0-9]{16}|[a-f0-9]{32}|[a-f0-9]{64})(?:\.[A-Za-z0-9_-]+)?")


def sniff_extension(data: bytes) -> str:
    """jpg, png, webp or gif by the first bytes, else img."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return "gif" if data.startswith((b"GIF87a", b"GIF89a")) else "img"


def name_for(data: bytes, digest: str) -> str:
    """The name under which new images are stored: `<64 hex>.<ext>`."""
    return f"{digest}.{sniff_extension(data)}"


def digest_in(raw_image_id: str) -> str | None:
    """The 16, 32 or 64 hex digits that a name promises, or None if it promises nothing."""
    match = _HASH_STEM.fullmatch(raw_image_id)
    return match.group(1) if match else None
