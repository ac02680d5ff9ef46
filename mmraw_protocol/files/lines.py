"""The strings of whole lines, each a JSON document: at C speed where nothing is found.

Whatever is not plainly such a block is left to the scanner, which says what is wrong with it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import msgspec

from ..wire.json import MAX_DEPTH
from ..wire.ref import PREFIX, PREFIXES
from .prefixes import StringPrefixes
from .scan_patterns import KEY_AT_END, KEY_WINDOW, decode_string

#: How JSON begins, also in a string or behind a byte order mark: not what Python prints, nor a
#: log's words in brackets.
_OPENS_JSON = re.compile(
    rb'(?:\xef\xbb\xbf)?(?:[\[\s]*(?:\{(?!\s*\')|\[\s*(?:"|$))|\s*"\s*[\[{]+\s*\\")'
)
_quote = re.compile(rb'(?<!\\)(?:\\\\)*"')
#: What stands between the strings of an object: JSON, which may begin within a literal.
_BETWEEN = re.compile(
    rb"(?:rue|ue|alse|lse|se|ull|ll|l)?(?:[][{}:,\s0-9.eE+-]|true|false|null|Infinity|NaN)*"
)
_BEFORE_END = re.compile(rb"[^]}\s]")
_BARE = tuple(prefix.encode() for prefix in PREFIXES)
_NOT_FINITE = re.compile(rb"\b(?:NaN|Infinity)\b")
_any_value = msgspec.json.Decoder(msgspec.Raw)
_whole_string = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_blank_lines = re.compile(rb"\n[ \t\r\n]*\n")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
#: A ref that is a value, where no string has an escape.
REF_VALUE = re.compile(b'"%b([^"]*)"(?![ \t]*:)' % PREFIX.encode())


def is_document(text: bytes) -> bool:
    """Whether a text is one JSON document, as far as strings are concerned."""
    is_read = False
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        _any_value.decode(text)
        is_read = True
    if not is_read and _NOT_FINITE.search(text):
        # Python's own reader takes what its writer emits.
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(text.decode("utf-8"))
            is_read = True
    if not is_read:
        return False
    return text.count(b"[") + text.count(b"{") <= MAX_DEPTH or _is_flat(text)


def opens_json(line: bytes) -> bool:
    """Whether a line begins as JSON does, and text hardly ever."""
    return _OPENS_JSON.match(line) is not None


def is_text(line: bytes) -> bool:
    """Whether a line is text: no JSON, nor JSON with a fault in it, nor a ref without quotes."""
    if opens_json(line) or _ends_object(line) or b"\0" in line or not _is_utf8(line):
        return False
    if line.startswith(_BARE):
        return b" " in line or b"\t" in line
    try:
        _any_value.decode(line)
    except msgspec.DecodeError:
        return True
    except RecursionError:
        pass
    return False


def _ends_object(line: bytes) -> bool:
    """Whether a line is the end of an object of JSON, whose beginning was cut off."""
    if not line.endswith(b"}") or _BEFORE_END.search(line) is None:
        return False
    # The last bracket stands in no string, wherever the line begins.
    between = b"".join(_quote.split(line)[::-2][::-1])
    if _BETWEEN.fullmatch(between) is None:
        return False
    depth = 0
    for bracket in reversed(between.translate(None, _NOT_BRACKETS)):
        depth += 1 if bracket in b"]}" else -1
        if depth == 0:
            return False
    return True


def are_documents(block: bytes, prefixes: StringPrefixes) -> bool:
    """Whether every line that is not blank is one JSON document (or a bare ref)."""
    if not block.isascii() and not _is_utf8(block):
        return False
    if _are_rows(block):
        return True
    return all(_is_document(line, prefixes) for line in _without_blank_lines(block).split(b"\n"))


def _are_rows(block: bytes) -> bool:
    """Whether the lines are one flat enough JSON object each, and nothing else: most files are."""
    lines = block.count(b"\n", 0, -1) + 1
    brackets = block.count(b"[") + block.count(b"{")
    if block.count(b"}\n{") != lines - 1 or not lines <= brackets <= lines + MAX_DEPTH - 1:
        return False
    try:
        return block.startswith(b"{") and len(_any_value.decode_lines(block)) == lines
    except (msgspec.DecodeError, RecursionError):
        return False


def _without_blank_lines(block: bytes) -> bytes:
    """The block with each run of blank lines as one: a block may hold nothing else."""
    return _blank_lines.sub(b"\n", block)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def _is_document(line: bytes, prefixes: StringPrefixes) -> bool:
    is_bare = bool(prefixes.bare) and line.startswith(prefixes.bare)
    return is_bare or not line.strip(b" \t\r") or is_document(line)


def _is_flat(line: bytes) -> bool:
    """Whether a valid document stays within the nesting that is allowed."""
    depth = 0
    for bracket in _whole_string.sub(b"", line).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return False
    return True


def strings_in(block: bytes, prefixes: StringPrefixes) -> Iterator[tuple[int, int, bool]]:
    """(start, end, bare) of every wanted string in a block of documents, in order; keys apart."""
    if prefixes.bare and (
        block.startswith(prefixes.bare) or any(b"\n" + b in block for b in prefixes.bare)
    ):
        return _strings_and_bare_lines(block, prefixes)
    return _strings(block, prefixes)


def text_of(raw: bytes, bare: bool) -> str:
    """The text of a string in a block."""
    return raw.decode("ascii", "replace") if bare else decode_string(raw)


def place_of(block: bytes, start: int, line: int) -> tuple[int, int]:
    """Line and column of a byte in a block that begins at `line`."""
    return line + block.count(b"\n", 0, start), start - block.rfind(b"\n", 0, start)


def _strings(block: bytes, prefixes: StringPrefixes) -> Iterator[tuple[int, int, bool]]:
    return ((*match.span(), False) for match in prefixes.all_in(block))


def _strings_and_bare_lines(
    block: bytes, prefixes: StringPrefixes
) -> Iterator[tuple[int, int, bool]]:
    """The same where some lines are refs without quotes."""
    begin = 0
    for line in block.split(b"\n"):
        if not line:
            begin += 1
            continue
        if line.startswith(prefixes.bare):
            yield begin, begin + len(line.rstrip()), True
        else:
            for start, end, _ in _strings(line, prefixes):
                yield begin + start, begin + end, False
        begin += len(line) + 1


def key_of(block: bytes, start: int) -> str | None:
    """The key under which the value at `start` stands."""
    end = _before_space(block, start)
    if block[end - 1 : end] != b":":
        return None
    end = _before_space(block, end - 1)
    match = KEY_AT_END.search(block, max(0, end - KEY_WINDOW), end)
    return None if match is None else decode_string(match.group())


def _before_space(block: bytes, end: int) -> int:
    while end and block[end - 1] in b" \t\r\n":
        end -= 1
    return end
