"""The URL of an object store: scheme, bucket, prefix."""

from __future__ import annotations

import re

import msgspec

from ..wire.errors import MMRawError

SCHEMES = ("s3", "gs", "az", "memory")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
# Characters that need no escaping in any of the stores; the rest differ from store to store.
_SEGMENT = re.compile(r"[A-Za-z0-9_.=+@,-]{1,255}")


class Place(msgspec.Struct, frozen=True):
    """Where the images are: `<scheme>://<bucket>/<prefix>`."""

    scheme: str
    bucket: str
    prefix: tuple[str, ...]

    def url(self, *parts: str) -> str:
        """The URL of what stands at `parts` below the place."""
        return f"{self.scheme}://" + "/".join((self.bucket, *self.prefix, *parts))

    def key(self, *parts: str) -> str:
        """The key, within the bucket, of what stands at `parts` below the place."""
        return "/".join((*self.prefix, *parts))


def parse_place(url: str) -> Place:
    """The place that a URL names.

    Raises:
        MMRawError: store_invalid.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise MMRawError("store_invalid", "expected s3://, gs://, az:// or memory://")
    # Taken apart by hand: urlsplit drops what it does not like, newlines for example.
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket:
        message = "credentials do not belong into the URL; set the environment's variables"
        raise MMRawError("store_invalid", message)
    if scheme != "memory" and not _BUCKET.fullmatch(bucket):
        raise MMRawError("store_invalid", "expected a bucket's name, as in s3://bucket/prefix")
    parts = tuple(part for part in prefix.strip("/").split("/") if part)
    if any(part in (".", "..") or not _SEGMENT.fullmatch(part) for part in parts):
        message = "a store's prefix is made of letters, digits and _ . = + @ , - between slashes"
        raise MMRawError("store_invalid", message)
    return Place(scheme, bucket, parts)
