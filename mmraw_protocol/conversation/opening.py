"""The bytes of a message's image, independent of its declared type."""

from __future__ import annotations

from typing import Any

from ..images import ImageSource
from ..images.encoded import decode_text, is_url
from ..stores import AssetStore
from ..stores.urls import StoredImage, find_stored
from ..stores.verify import read_verified
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.modality import check_modality
from ..wire.ref import is_ref, parse_ref
from .found import MessageImage


def open_image_part(
    image: MessageImage,
    limits: Limits = DEFAULT_LIMITS,
    store: AssetStore | None = None,
    run_id: str | None = None,
) -> ImageSource:
    """The bytes of an image part; a URL of the store's own is read through the store.

    So is a ref, whose bytes are compared with it; an inline one needs no store.

    Raises:
        MMRawError: missing_source, what `ImageSource.open` raises, what `parse_ref` and
            `read_verified` raise for a ref, and what the store raises, with the part's path.
    """
    if image.source is None:
        message = "expected a part with an image source, got one without"
        raise MMRawError("missing_source", message, image.path)
    if is_ref(image.source):
        return _open_ref(image, limits, store, run_id)
    found = None if store is None else find_stored(store, image.source, run_id)
    if store is None or found is None:
        return ImageSource.open(_bytes_of(image, limits), limits=limits, path=image.path)
    failed: MMRawError | None = None
    try:
        data = store.get(found.raw_image_id, run_id=found.run_id)
        return ImageSource(data, limits=limits, path=image.path)
    except MMRawError as error:
        failed = error
    raise MMRawError(failed.code, failed.message, image.path)


def check_source(image: MessageImage) -> None:
    """Refuses a source that no reader of this project takes, by its form alone.

    Raises:
        MMRawError: missing_source, source_unsupported, empty_source, with the part's path.
    """
    if image.source is None:
        message = "expected a part with an image source, got one without"
        raise MMRawError("missing_source", message, image.path)
    source = image.source
    if isinstance(source, str) and not source:
        raise MMRawError("empty_source", "expected an image source, got an empty text", image.path)
    if isinstance(source, str) and source[:8].lower().startswith(("http:", "https:")):
        message = "expected the image or a URL of its store, got http, which is never fetched"
        raise MMRawError("source_unsupported", message, image.path)


def _bytes_of(image: MessageImage, limits: Limits) -> Any:
    """The source; decoded if it is base64 where base64 belongs."""
    source = image.source
    if image.place.encoded and isinstance(source, str) and not is_url(source):
        return decode_text(source, limits, image.path)
    return source


def _open_ref(
    image: MessageImage, limits: Limits, store: AssetStore | None, run_id: str | None
) -> ImageSource:
    failed: MMRawError | None = None
    data = b""
    try:
        ref = parse_ref(image.source, limits=limits)
        check_modality(ref.modality, "$.modality")
        data = read_verified(ref, store, run_id=run_id, limits=limits)
    except MMRawError as error:
        failed = error
    if failed is not None:
        raise failed.with_path_prefix(image.path)
    return ImageSource(data, limits=limits, path=image.path)


def stored_source(store: AssetStore, source: Any, run_id: str | None = None) -> StoredImage | None:
    """The stored image that a source names, by a URL of the store's own or by a ref.

    Raises:
        MMRawError: what `parse_ref` raises.
    """
    if not is_ref(source):
        return find_stored(store, source, run_id)
    ref = parse_ref(source)
    name = None if ref.is_inline else ref.stored_name
    return None if name is None else StoredImage(name, ref.run_id or run_id)
