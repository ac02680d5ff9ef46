"""Jobs on strings: refs move to another dialect, data: images into a store and back."""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache
from typing import Any

import msgspec

from ..images import read_header
from ..stores import AssetStore, open_store
from ..stores.base import Storage
from ..stores.convert import RefConverter
from ..system.shown import Shown
from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.modalities import MEDIA_TYPES
from ..wire.base64 import encode_base64
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.modality import unsupported
from ..wire.ref import PREFIX, PREFIXES, check_raw_image_id
from .moving_images import MovingImages, most_ref_bytes, url_start
from .prefixes import StringPrefixes

#: Keys under which messages have an image as base64 alone, and how PNG, JPEG, GIF and WebP begin.
BARE_KEYS = frozenset({"data", "base64", "image", "image_url", "url", "bytes"})
BARE_IMAGES = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")
#: Images that a rewriter remembers, so that one that every turn repeats is stored once.
_REMEMBERED = 65_536
#: Refs that are not converted again while they are known, and how long one of them may be.
_KNOWN_REFS = 4096
_KNOWN_CHARS = 4096
#: The start of a data: URL; prose about such URLs does not go on like this.
_MEDIA = "|".join(["image(?=[/;,])", *MEDIA_TYPES])
DATA_HEAD = re.compile(
    rf"data:({_MEDIA})[^\s,;]{{0,80}}(?:;[^\s,;]{{0,80}}){{0,8}},",
    re.IGNORECASE,
)


class StoreSpec(Shown, msgspec.Struct, frozen=True):
    """How to open a store: each process opens its own.

    Attributes:
        place: A directory or URL, as `open_store` takes it.
        run_id: The one run whose images these are; None accepts any.
        options: Further options of the store, for example `create`.
    """

    place: str
    run_id: str | None = None
    options: dict[str, Any] = {}

    def __hash__(self) -> int:
        return hash((self.place, self.run_id))

    def open(self) -> AssetStore:
        """The store.

        Raises:
            MMRawError: store_invalid, store_permission, invalid_run_id.
        """
        return open_store(self.place, run_id=self.run_id, **self.options)

    def url_start(self) -> str:
        """The beginning of every URL of the store.

        Raises:
            MMRawError: what `open` raises.
        """
        return url_start(self.open())


def checked_spec(store: StoreSpec) -> StoreSpec:
    """The same.

    Raises:
        MMRawError: invalid_type (no StoreSpec, but for example a path).
    """
    if not isinstance(store, StoreSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(store).__name__
        raise MMRawError("invalid_type", f"expected a StoreSpec as the store, got {kind}")
    return store


class ConvertJob(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Every string that is a ref becomes a ref of dialect `to`; see `convert_ref`."""

    to: str = DEFAULT_DIALECT
    run_id: str | None = None
    config: dict[str, Any] | str | None = None
    store: StoreSpec | None = None
    storage: Storage | None = None
    limits: Limits = DEFAULT_LIMITS

    def __hash__(self) -> int:
        return hash((self.to, self.run_id, self.store, self.storage))

    def open(self) -> _Converting:
        """The rewriter."""
        store = None if self.store is None else checked_spec(self.store).open()
        return _Converting(
            RefConverter(
                self.to, self.run_id, self.config, store, storage=self.storage, limits=self.limits
            )
        )


class _Converting:
    prefixes = StringPrefixes(PREFIXES, bare=PREFIXES)

    def __init__(self, converter: RefConverter) -> None:
        self._convert = converter.convert
        # Each turn of a conversation carries the refs of all before.
        self._convert_short = lru_cache(_KNOWN_REFS)(converter.convert)
        self.rewrite_together = converter.convert_together
        self.most = most_ref_bytes(converter.limits)

    def rewrite(self, text: str, key: str | None) -> str:
        return (self._convert_short if len(text) <= _KNOWN_CHARS else self._convert)(text)

    def drain_stats(self) -> list[tuple[str, int]]:
        return []


class OffloadJob(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Every string that is a data: image is stored and becomes the URL of what was stored.

    A ref with its image in it stays a ref, of the stored image, in dialects that carry both. A
    data: URL of a video or audio is refused (modality_unsupported).

    Without a store (a dry run) images are checked and named, and nothing is stored or changed.
    """

    store: StoreSpec | None
    limits: Limits = DEFAULT_LIMITS

    def open(self) -> _Offloading:
        """The rewriter."""
        store = None if self.store is None else checked_spec(self.store).open()
        return _Offloading(store, self.limits)


class _Offloading(MovingImages):
    prefixes = StringPrefixes(
        [PREFIX, *(f"data:{start}" for start in ("image", *MEDIA_TYPES)), *BARE_IMAGES],
        any_case=True,
        bare=[PREFIX],
        keys=True,
    )

    def __init__(self, store: AssetStore | None, limits: Limits) -> None:
        super().__init__("offload", store, limits)
        self._urls: OrderedDict[str, str] = OrderedDict()

    def moved(self, text: str, key: str | None) -> str:
        if key in BARE_KEYS and text.startswith(BARE_IMAGES):
            message = "an image as base64 without a data: URL is not moved; messages are packed"
            raise MMRawError("source_unsupported", message)
        head = DATA_HEAD.match(text)
        if head is None:
            return text
        modality = MEDIA_TYPES.get(head.group(1).lower())
        if modality is not None:
            raise unsupported(modality, "$")
        data = parse_data_uri(text, limits=self._limits, path="$").data
        digest = sha256_hex(data)
        url = self._urls.pop(digest, None)
        if url is None:
            read_header(data, limits=self._limits)
            url = text if self._store is None else self._store.url(self._store.put(data))
        # The latest is last, so that what every turn repeats is never forgotten.
        self._urls[digest] = url if self._store is not None else ""
        if len(self._urls) > _REMEMBERED:
            self._urls.popitem(last=False)
        self._notes.append((digest, len(data)))
        return url or text


class InlineJob(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Every string that is a URL of an image in the store becomes the image's data: URL.

    A ref of a stored image stays a ref, with its image in it, in dialects that carry both.
    """

    store: StoreSpec
    limits: Limits = DEFAULT_LIMITS

    def open(self) -> _Inlining:
        """The rewriter."""
        return _Inlining(checked_spec(self.store).open(), self.limits)


class _Inlining(MovingImages):
    def __init__(self, store: AssetStore, limits: Limits) -> None:
        super().__init__("inline", store, limits)
        self._images = store
        self._place = url_start(store)
        self.prefixes = StringPrefixes([self._place, PREFIX], bare=[PREFIX], keys=True)

    def moved(self, text: str, key: str | None) -> str:
        name = text[len(self._place) :]
        if not _is_name(name):
            return text
        data = self._images.get(name)
        header = read_header(data, limits=self._limits)
        self._notes.append((sha256_hex(data), len(data)))
        return f"data:image/{header.format};base64,{encode_base64(data)}"


def _is_name(text: str) -> bool:
    """Whether a URL's last part can be the name of a stored image."""
    try:
        check_raw_image_id(text)
        return True
    except MMRawError:
        return False
