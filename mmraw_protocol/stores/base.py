"""The interface of stores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from ..system.shown import Shown
from ..wire._generated.limits import Limits
from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import check_raw_image_id
from .names import digest_in

#: The way in which refs carry their images: by name in a store, or within the ref.
Storage = Literal["offload", "inline"]


class StoredObject(Shown, msgspec.Struct, frozen=True):
    """An object as a listing describes it.

    Attributes:
        raw_image_id: Its name.
        size: In bytes; None if the store does not say.
        modified: When it was last put, in seconds since 1970; None if the store does not say.
    """

    raw_image_id: str
    size: int | None = None
    modified: float | None = None


@runtime_checkable
class AssetStore(Protocol):
    """Content-addressed images of one run, or of several runs that a store was opened for.

    If a method takes `run_id`, None means the store's own run. A store opened for several runs
    has no own run and needs it named.
    """

    def put(self, data: bytes, *, run_id: str | None = None) -> str:
        """Stores an encoded image and returns its raw_image_id, `<64 hex>.<ext>`.

        When it returns, the image is stored whole; the same bytes may be put again at any time.
        """
        ...

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        """The bytes of a stored image; a name of 16, 32 or 64 hex digits is verified."""
        ...

    def has(self, raw_image_id: str, *, run_id: str | None = None) -> bool:
        """True if an object of that name is there; its bytes are not read."""
        ...

    def delete(self, raw_image_id: str, *, run_id: str | None = None) -> None:
        """Removes an object; one that is absent is no error."""
        ...

    def list(self, *, run_id: str | None = None) -> Iterator[str]:
        """The names of all objects, temporary files apart."""
        ...

    def url(self, raw_image_id: str, *, run_id: str | None = None) -> str:
        """The URL that messages carry for a stored image."""
        ...

    def check_run(self, run_id: str | None) -> None:
        """Refuses a run that the store was not opened for (`run_mismatch`)."""
        ...


def check_new_object(data: bytes, limits: Limits) -> bytes:
    """The bytes of an image to store, after what no store takes was refused.

    Raises:
        MMRawError: invalid_type, empty_source, limit_exceeded.
    """
    value: Any = data
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise MMRawError("invalid_type", expected("the bytes of an encoded image", value))
    data = bytes(data)
    if not data:
        raise MMRawError("empty_source", "expected an image to store, got no bytes")
    if len(data) > limits.inline_image_bytes:
        message = f"expected at most {limits.inline_image_bytes} bytes, got {len(data)}"
        raise MMRawError("limit_exceeded", message)
    return data


def check_name(raw_image_id: str, limits: Limits) -> str:
    """The name of an object, after one that no store takes was refused.

    Raises:
        MMRawError: invalid_type, invalid_raw_image_id.
    """
    value: Any = raw_image_id
    if not isinstance(value, str):
        message = expected("a raw_image_id, a string", value)
        raise MMRawError("invalid_type", message, "$.raw_image_id")
    check_raw_image_id(raw_image_id, limits=limits)
    return raw_image_id


def check_age(older_than: float) -> float:
    """Seconds, after what is no age was refused: nothing is younger than NaN.

    Raises:
        MMRawError: invalid_type, unsupported_option.
    """
    value: Any = older_than
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MMRawError("invalid_type", expected("an age in seconds, a number", value))
    if math.isnan(older_than):
        raise MMRawError("unsupported_option", "expected an age in seconds, not NaN")
    return older_than


def verify_object(data: bytes, raw_image_id: str, digest: str | None = None) -> bytes:
    """`data`, if its sha256 starts with the hex digits that its name promises.

    Raises:
        MMRawError: object_corrupt.
    """
    promised = digest_in(raw_image_id)
    if promised is not None and not (digest or sha256_hex(data)).startswith(promised):
        message = "a stored image is not what its name says"
        raise MMRawError("object_corrupt", message, "$.raw_image_id")
    return data
