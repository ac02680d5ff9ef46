"""What SGLang files a picture of a ref under.

SGLang names media by the digest of their bytes, or of a picture's pixels. A picture of a ref has
another name, which no digest of a file's is, and which no client can foretell (MMRAW_SECRET).
"""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ...wire.errors import MMRawError
from ...wire.hashes import sha256_hex
from ...wire.ref import RawMMRef
from ..serving.identity import name_of

_PREFIX = "sha256:"


def snapshot(original: Callable[[Any], Any], media: Any) -> Any:
    """Around SGLang's `snapshot_media`: the identity of a ref's picture is its ref's."""
    found, digest = original(media), _digest_of(media)
    return dataclasses.replace(found, content_digest=_PREFIX + digest) if digest else found


def file_under_refs(item: Any, picture: Any) -> None:
    """Names an item in SGLang's caches of prompts and embeddings, where `snapshot` has not."""
    if item.hash is None:
        item.set_hash(int(_digest_of(picture)[:16], 16))


def check_content_hash(given: str | None, ref: RawMMRef) -> None:
    """Whether the content_hash that a client sent beside a ref is that of the ref's file.

    Raises:
        MMRawError: hash_mismatch.
    """
    if given is not None and not given.removeprefix(_PREFIX).lower().startswith(ref.mm_hash):
        message = "a content_hash beside a ref is that of the ref's file, or absent"
        raise MMRawError("hash_mismatch", message)


def _digest_of(media: Any) -> str:
    """64 hex digits; empty where it is no picture of a ref."""
    name = name_of(media)
    return "" if name is None else sha256_hex(f"mmraw:{name.identity}".encode())
