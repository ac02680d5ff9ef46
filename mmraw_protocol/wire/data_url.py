"""data: images and file: labels: the syntax of raw_uri.

Source: spec/README.md, sections "Base64" and "Fields".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ._generated.limits import DEFAULT_LIMITS, Limits
from .base64 import decode_standard, not_standard
from .check import expected
from .errors import MMRawError

_MEDIA_TYPES = {
    f"data:image/{kind};base64,": f"image/{kind}" for kind in ("png", "jpeg", "jpg", "webp", "gif")
}
_LONGEST_HEAD = max(map(len, _MEDIA_TYPES))
#: The start of a data: image.
HEADS = frozenset(head.encode("ascii") for head in _MEDIA_TYPES)

_LABEL_HEADS = ("file:///", "file://localhost/")
#: The most characters of a file: label, and which ones it may have.
LABEL_LENGTH = 4096
LABEL_CHARACTERS = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,;=:@%-/"
)
_NAME_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

#: Characters that are decoded at a time if only the verdict counts; a multiple of four.
_CHUNK = 1 << 16


class DataUri(NamedTuple):
    """A parsed data: image."""

    media_type: str
    data: bytes


def parse_data_uri(
    text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.raw_uri"
) -> DataUri:
    """The bytes of `data:image/(png|jpeg|jpg|webp|gif);base64,` and strict base64.

    Raises:
        MMRawError: invalid_type, invalid_raw_uri, invalid_base64, limit_exceeded, empty_source.
    """
    media_type, start = _head_of(text, limits, path)
    data = decode_standard(text, start)
    if data is None:
        raise not_standard(text, path, start)
    _check_size(len(data), limits, path)
    return DataUri(media_type, data)


def check_data_uri(text: str, *, limits: Limits = DEFAULT_LIMITS, path: str = "$.raw_uri") -> None:
    """Refuses what `parse_data_uri` refuses, without ever holding the image.

    Raises:
        MMRawError: what `parse_data_uri` raises.
    """
    _, start = _head_of(text, limits, path)
    if not text.isascii():
        raise not_standard(text, path, start)
    size = 0
    for at in range(start, len(text), _CHUNK):
        part = text[at : at + _CHUNK]
        data = decode_standard(part)
        if data is None or (at + _CHUNK < len(text) and part.endswith("=")):
            raise not_standard(text, path, start)
        size += len(data)
    _check_size(size, limits, path)


def _head_of(text: str, limits: Limits, path: str) -> tuple[str, int]:
    """Media type and start of the base64, whose length shows whether it is too large."""
    _check_string(text, path)
    # Only a fixed window is searched: the text may be tens of megabytes without any comma.
    head = text[: text.find(",", 0, _LONGEST_HEAD) + 1]
    media_type = _MEDIA_TYPES.get(head)
    if media_type is None:
        message = "expected data:image/(png|jpeg|jpg|webp|gif);base64,... in lower case"
        raise MMRawError("invalid_raw_uri", message, path)
    size = len(text) - len(head)
    if size == 0:
        raise MMRawError("empty_source", "expected bytes in the data: URL, got none", path)
    # The length gives the size before decoding; padding hides at most two bytes.
    _check_size(size // 4 * 3 - 2, limits, path)
    return media_type, len(head)


def _check_size(size: int, limits: Limits, path: str) -> None:
    if size > limits.inline_image_bytes:
        message = f"expected an inline image of at most {limits.inline_image_bytes} bytes, got more"
        raise MMRawError("limit_exceeded", message, path)


def _check_string(value: object, path: str) -> None:
    if not isinstance(value, str):
        raise MMRawError("invalid_raw_uri", expected("a data: or file: URL, a string", value), path)


def check_label(text: str, path: str, limits: Limits) -> None:
    """Refuses what is no file: label with the name of a stored image at its end.

    Raises:
        MMRawError: invalid_raw_uri, invalid_raw_image_id, limit_exceeded.
    """
    # Here, since the generated checks import this module.
    from ._generated.checks import check_raw_image_id

    _check_string(text, path)
    check_raw_image_id(parse_file_label(text, path=path), path, limits)


def _check_data_uri(value: Any, path: str, limits: Limits) -> None:
    check_data_uri(value, limits=limits, path=path)


def _check_raw_uri(value: Any, path: str, limits: Limits) -> None:
    _check_string(value, path)
    is_label = value.startswith("file:")
    (check_label if is_label else _check_data_uri)(value, path, limits)


#: By the names of `x-mmraw-syntax`: the checks of what a pattern cannot say.
SYNTAXES: dict[str, Callable[[Any, str, Limits], None]] = {
    "data_url": _check_data_uri,
    "file_label": check_label,
    "raw_uri": _check_raw_uri,
}


def fits_source(syntax: str, uri: str, stored_name: str | None, limits: Limits) -> bool:
    """True if a URL has its syntax; a label next to a stored image's name ends in that name."""
    if stored_name is not None and not uri.startswith("data:"):
        # The name itself has a check of its own.
        return syntax == "raw_uri" and uri.endswith(f"/{stored_name}") and _is_label(uri)
    try:
        SYNTAXES[syntax](uri, "$", limits)
    except MMRawError:
        return False
    return syntax != "raw_uri" or uri.startswith("data:")


def check_label_names(
    uri: str | None, stored_name: str | None, named: bool, path: str = "$"
) -> None:
    """A file: label ends in the raw_image_id next to it.

    Args:
        uri: raw_uri, already checked by itself.
        stored_name: raw_image_id.
        named: Whether the dialect has a raw_image_id; else the label alone names the image.
        path: Of the document.

    Raises:
        MMRawError: invalid_raw_uri.
    """
    label = uri if uri is not None and uri.startswith("file:") else None
    if named and label is not None and parse_file_label(label) != stored_name:
        message = "expected a file: label with a raw_image_id equal to its last segment"
        raise MMRawError("invalid_raw_uri", message, f"{path}.raw_uri")


def parse_file_label(text: str, *, path: str = "$.raw_uri") -> str:
    """The last path segment of a file: label (its raw_image_id). The path is never opened.

    Raises:
        MMRawError: invalid_raw_uri.
    """
    name = text.rpartition("/")[2]
    if not _is_label(text) or not name or name.encode("ascii").translate(None, _NAME_CHARACTERS):
        message = "expected a local file: URL that ends in the stored image's name"
        raise MMRawError("invalid_raw_uri", message, path)
    return name


def _is_label(text: str) -> bool:
    """True if it has the form of a label with any name; a pattern takes 100 times as long."""
    return (
        len(text) <= LABEL_LENGTH
        and text.startswith(_LABEL_HEADS)
        and text.isascii()
        and not text.encode("ascii").translate(None, LABEL_CHARACTERS)
    )
