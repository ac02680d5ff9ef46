"""Parses a text that names a store: a directory, or the scheme, bucket and prefix of a URL."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ..wire.check import expected
from ..wire.errors import MMRawError
from .modes import parse_mode

SCHEMES = ("s3", "gs", "az", "memory")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
# Characters that need no escaping in any of the stores; the rest differ from store to store.
_SEGMENT = re.compile(r"[A-Za-z0-9_.=+@,-]{1,255}")


#: The form of URLs. A directory of that form is given as a PathLike, or with `./` before it.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MODES = ("file_mode", "dir_mode")


class LocalPlace(msgspec.Struct, frozen=True):
    """A directory, and the options that its URL carries."""

    path: str
    options: dict[str, Any] = {}


def local_place(place: str | os.PathLike[str]) -> LocalPlace | None:
    """The directory that a path or file: URL names; None for the URL of an object store.

    Raises:
        MMRawError: invalid_type, store_invalid, unsupported_option.
    """
    value: object = place
    if isinstance(value, os.PathLike):
        return LocalPlace(os.fspath(place))
    if not isinstance(place, str):
        raise MMRawError("invalid_type", expected("the path or URL of a store, a string", place))
    scheme = place.partition(":")[0].lower()
    if scheme in SCHEMES and (place == f"{scheme}:" or place.startswith(f"{scheme}://")):
        return None
    if scheme == "file" and place[len(scheme) :][:2] == ":/":
        return _of_file_url(place)
    if place != place.strip() or not place.isprintable() or place.startswith("$"):
        message = "expected a path without blanks around it, control characters or variables"
        raise MMRawError("store_invalid", message)
    if not place or _URL.match(place) or (":" in place and scheme in (*SCHEMES, "file")):
        message = "expected a directory, or a file:///, s3://, gs://, az:// or memory:// URL"
        raise MMRawError("store_invalid", message)
    return LocalPlace(_at_home(place))


def _at_home(path: str) -> str:
    if not path.startswith("~"):
        return path
    found = os.path.expanduser(path)
    if found.startswith("~"):
        message = "expected ~ of a user with a home directory; a directory named ~ is written ./~"
        raise MMRawError("store_invalid", message)
    return found


def _of_file_url(url: str) -> LocalPlace:
    path: str | None = None
    options: dict[str, Any] = {}
    query: list[tuple[str, str]] = []
    try:
        # urlsplit would drop newlines and tabs, and unquote keep what is no escape.
        if url.isprintable() and not _BROKEN_ESCAPE.search(url):
            parts = urlsplit(url)
            query = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
            if parts.netloc.lower() in ("", "localhost") and "#" not in url:
                path = unquote(parts.path, errors="strict")
    except (ValueError, UnicodeError):
        path = None
    for name, value in query:
        if name in _MODES:
            options[name] = parse_mode(value)
    if not path or not path.startswith("/") or len(options) != len(query):
        message = "expected file:///path, with no options but file_mode and dir_mode"
        raise MMRawError("store_invalid", message)
    return LocalPlace(path, options)


class Place(msgspec.Struct, frozen=True):
    """The place of a store's images: `<scheme>://<bucket>/<prefix>`."""

    scheme: str
    bucket: str
    prefix: tuple[str, ...]

    def url(self, *parts: str) -> str:
        """The URL of `parts` below the place."""
        return f"{self.scheme}://" + "/".join((self.bucket, *self.prefix, *parts))

    def key(self, *parts: str) -> str:
        """The key, within the bucket, of `parts` below the place."""
        return "/".join((*self.prefix, *parts))


def parse_place(url: str) -> Place:
    """The place that a URL names.

    Raises:
        MMRawError: store_invalid.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise MMRawError(
            "store_invalid", "expected s3://, gs://, az:// or memory://, got another scheme"
        )
    # Taken apart by hand: urlsplit drops what it does not like, newlines for example.
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket:
        message = "expected no credentials in the URL; set the environment's variables instead"
        raise MMRawError("store_invalid", message)
    if scheme != "memory" and not _BUCKET.fullmatch(bucket):
        message = expected("a bucket's name, as in s3://bucket/prefix", bucket)
        raise MMRawError("store_invalid", message)
    parts = tuple(part for part in prefix.strip("/").split("/") if part)
    for number, part in enumerate(parts, start=1):
        if part in (".", "..") or not _SEGMENT.fullmatch(part):
            wanted = "letters, digits and _ . = + @ , - between the slashes of a prefix"
            message = f"expected {wanted}, got another text as part {number}"
            raise MMRawError("store_invalid", message)
    return Place(scheme, bucket, parts)
