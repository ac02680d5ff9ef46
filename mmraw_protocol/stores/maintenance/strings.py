"""Every string of a file of JSON: a document on each line, or documents over many lines."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from ...wire.errors import ErrorCode, MMRawError
from ...wire.rows import RowFile, readable

#: A document over many lines is held as a whole; JSON lines are held one at a time.
MOST_BYTES = 1 << 30


class Text(NamedTuple):
    """A string of a document.

    Attributes:
        text: What it says.
        key: The key it is listed under, None in arrays and for keys themselves.
        line: The line at which its document begins, from 1.
    """

    text: str
    key: str | None
    line: int


def strings_in(read_line: Callable[[int], bytes]) -> Iterator[Text]:
    """Every string and key at any depth, duplicate keys included.

    Where the first line is no document, the documents stand over many lines. A line that begins
    like a ref is one, without quotes.

    Args:
        read_line: Gives a line with its end, cut at so many bytes; nothing at the end of the file.

    Raises:
        MMRawError: invalid_json, invalid_encoding, limit_exceeded.
    """
    number, is_first = 0, True
    while data := read_line(MOST_BYTES):
        number += 1
        if not data.strip():
            continue
        documents = _parse(data)
        if documents is None and is_first:
            documents = _parse(_rest(data, read_line), many=True)
        if documents is None:
            message = f"expected JSON in the document of line {number}, got other text"
            raise MMRawError("invalid_json", message)
        is_first = False
        for document in documents:
            yield from strings_in_value(document, number)


def strings_in_rows(file: RowFile) -> Iterator[Text]:
    """Every string and key in the rows of Parquet or Arrow; a line is the number of a row.

    Binary data are read as text, since a name may stand in them.

    Raises:
        MMRawError: source_unavailable, unsupported_option (text in unions).
    """
    from .row_values import plain_values

    number = 0
    with readable():
        for batch in file.batches():
            columns = [plain_values(array, _as_text) for array in batch.columns]
            for values in zip(*columns, strict=True):
                number += 1
                yield from strings_in_value([*values], number)


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def strings_of(text: str, line: int) -> Iterator[Text]:
    """Every string of a JSON document within a string; none if it is not JSON.

    What is not JSON as a whole may hold JSON strings all the same: a line of a log.
    """
    documents: list[Any] | None = None
    with contextlib.suppress(MMRawError):
        documents = _parse(text.encode("utf-8", "replace"))
    if documents is not None:
        yield from strings_in_value(documents, line)
        return
    for match in _STRING.finditer(text):
        with contextlib.suppress(ValueError):
            inner = json.loads(match.group())
            if inner != match.group()[1:-1]:
                yield Text(inner, None, line)


def _rest(data: bytes, read_line: Callable[[int], bytes]) -> bytes:
    parts, left = [data], MOST_BYTES - len(data)
    while left > 0 and (data := read_line(left)):
        parts.append(data)
        left -= len(data)
    if left <= 0:
        message = f"expected at most {MOST_BYTES} bytes in a document over many lines, got more"
        raise MMRawError("limit_exceeded", message)
    return b"".join(parts)


class _Pairs(list[tuple[str, Any]]):
    """An object with all its pairs, in order."""


_decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
_SPACE = re.compile(r"[ \t\r\n]*")
#: A JSON string with an escape in it.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)+"')


def _parse(data: bytes, *, many: bool = False) -> list[Any] | None:
    """The document of a text, or several one behind the other; None if it is no JSON."""
    code: ErrorCode = "invalid_encoding"
    text = ""
    try:
        text = data.decode("utf-8")
        if text.startswith("mmraw:"):
            return [text.strip()]
        return [*_documents(text)] if many else [_decoder.decode(text)]
    except UnicodeDecodeError:
        message = "expected UTF-8, got another byte"
    except RecursionError:
        code, message = "limit_exceeded", "expected JSON that is not nested so deeply"
    except ValueError:
        return None
    raise MMRawError(code, message)


def _documents(text: str) -> Iterator[Any]:
    at = len(text) - len(text.lstrip())
    while at < len(text):
        document, end = _decoder.raw_decode(text, at)
        yield document
        space = _SPACE.match(text, end)
        at = space.end() if space else end


def strings_in_value(document: Any, line: int) -> Iterator[Text]:
    """Every string and key of a value that was decoded already."""
    stack: list[tuple[Any, str | None]] = [(document, None)]
    while stack:
        value, key = stack.pop()
        if isinstance(value, str):
            yield Text(value, key, line)
        elif isinstance(value, dict):
            stack.append((_Pairs(cast("dict[str, Any]", value).items()), key))
        elif isinstance(value, _Pairs):
            for name, child in value:
                yield Text(name, None, line)
                stack.append((child, name))
        elif isinstance(value, list):
            stack += [(child, key) for child in cast("list[Any]", value)]
