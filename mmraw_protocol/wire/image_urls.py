"""Images by their URLs, a ref being one: content parts of requests, and refs of rollouts.

Source: spec/README.md, section "Refs as URLs"; schemas urn:mmraw:content-parts:v1,
urn:mmraw:mm-refs:v1, urn:mmraw:mm-refs-array:v1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from ..system.shown import Shown
from ._generated.limits import Limits
from .errors import MMRawError
from .features_model import check_count
from .json import check_json_value, parse_json
from .modality import check_modality
from .msgpack import is_msgpack, parse_msgpack
from .ref import RawMMRef, parse_ref
from .ref_model import is_ref

if TYPE_CHECKING:
    from .ref_memory import RefMemory

UrlKind = Literal["ref", "data", "file", "store", "other"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}(?=:)")
_KINDS: dict[str, UrlKind] = {"data": "data", "file": "file"}
#: Schemes of object stores, whose URLs name a store's objects.
STORE_SCHEMES = ("s3", "gs", "az", "memory")
#: Values in a document for each image (itself, its URL and two more), and others.
_VALUES_AN_IMAGE, _VALUES_BESIDE = 5, 256

#: Levels of the documents, counted from 0; what is nested deeper is rejected by its schema.
_MOST_LEVELS = 4

#: Reads the text of a ref.
ReadRef = Callable[[str], RawMMRef]


class ImageUrl(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """One image by its URL.

    Attributes:
        index: Its place among the images of the prompt.
        url: The URL as it came.
        url_kind: `ref`; `data` and `file` by their scheme; `store` for a URL of an object store
            (s3, gs, az, memory); `other` for everything else.
        ref: What the URL says if it is a ref.
    """

    index: int
    url: str
    url_kind: UrlKind
    ref: RawMMRef | None = None

    def __hash__(self) -> int:
        return hash((self.index, self.url))


def url_kind_of(url: str) -> UrlKind:
    """Returns the kind of a URL, by its start."""
    if is_ref(url):
        return "ref"
    scheme = _SCHEME.match(url)
    name = "" if scheme is None else scheme.group().lower()
    return "store" if name in STORE_SCHEMES else _KINDS.get(name, "other")


def ref_reader(limits: Limits, memory: RefMemory | None) -> ReadRef:
    """Returns the function that reads the refs of a document."""
    return partial(parse_ref, limits=limits) if memory is None else memory.parse_ref


def read_url(url: str, read: ReadRef, path: str) -> tuple[UrlKind, RawMMRef | None]:
    """The kind of a URL, and the ref that it is.

    Raises:
        MMRawError: modality_unsupported (a ref of a video or audio) and what `parse_ref` raises,
            with the path.
    """
    kind = url_kind_of(url)
    if kind != "ref":
        return kind, None
    failed: MMRawError | None = None
    try:
        ref = read(url)
        check_modality(ref.modality, "$")
        return kind, ref
    except MMRawError as error:
        failed = error
    raise failed.with_path_prefix(path)


def document_of(value: Any, limits: Limits, what: str, *, packed: bool = False) -> Any:
    """The lists and objects of a document that is decoded, JSON text, or MessagePack if `packed`.

    Raises:
        MMRawError: limit_exceeded, what `parse_json` and `parse_msgpack` raise, and for a decoded
            value what `check_json_value` raises.
    """
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        given = value if isinstance(value, str) else bytes(cast(bytes, value))
        if len(given) > limits.features_bytes:
            raise too_long(limits, what)
        most = _VALUES_AN_IMAGE * limits.features_images + _VALUES_BESIDE
        if packed and isinstance(given, bytes) and is_msgpack(given):
            return parse_msgpack(given, max_values=most)
        return parse_json(given, max_values=most)
    document = _plain(value)
    check_json_value(document)
    return document


def _plain(value: Any, depth: int = 0) -> Any:
    """Structs, mappings and tuples as objects and lists; what is neither stays, to be refused."""
    if depth > _MOST_LEVELS:
        return value
    if isinstance(value, msgspec.Struct):
        value = _fields_of(value)
    if isinstance(value, Mapping):
        fields = cast("Mapping[Any, Any]", value)
        return {key: _plain(item, depth + 1) for key, item in fields.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    return value


def _fields_of(value: msgspec.Struct) -> dict[str, Any] | list[Any]:
    """Returns a struct's fields on the wire; msgspec itself would turn bytes into strings."""
    config = value.__struct_config__
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    fields: dict[str, Any] = {} if config.tag is None else {str(config.tag_field): config.tag}
    fields |= {name: getattr(value, attribute) for name, attribute in names}
    fields = {name: item for name, item in fields.items() if item is not msgspec.UNSET}
    return list(fields.values()) if config.array_like else fields


def too_long(limits: Limits, what: str) -> MMRawError:
    """The error for a document that is longer than its limit."""
    message = f"expected at most {limits.features_bytes} bytes in {what}, got more"
    return MMRawError("limit_exceeded", message)


def check_slots(rows: Any, path: str) -> None:
    """An empty slot has a code of its own, as in a features body.

    Raises:
        MMRawError: missing_slot.
    """
    if isinstance(rows, list) and None in rows:
        index = cast("list[Any]", rows).index(None)
        message = "expected a URL in each slot, got null; carry every image's URL"
        raise MMRawError("missing_slot", message, f"{path}[{index}]")


def check_bounds(urls: list[str], limits: Limits, what: str) -> None:
    """As many images as a features body may have, and as many characters.

    Raises:
        MMRawError: limit_exceeded.
    """
    check_count(len(urls), limits)
    if sum(map(len, urls)) > limits.features_bytes:
        raise too_long(limits, what)
