"""Refs in any text: log lines, JSON in quotes or in strings, query strings, e-mails.

A ref is found where `mmraw:` is followed by a tag and a body, a JSON object or the base64 of one,
so that a log's own words are none. It reaches as far as the characters that its dialect has, or
that stand there by mistake: padding, the standard alphabet, dots for what was left out, line
breaks.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from ..wire._generated.dialects import DIALECTS
from ..wire.base64 import decode_url
from ..wire.ref_model import FEATURES_PREFIX, PREFIXES

__all__ = ["TextParts", "TextRef", "find_refs", "may_hold_ref", "place_in"]

_WORDS = tuple(prefix.removesuffix(":") for prefix in PREFIXES)
_WORDS_IN_BYTES = tuple(word.encode() for word in _WORDS)
_NAMES = "|".join(_WORDS)
#: A prefix, and a tag with a body, an object, or the base64 of one.
_START = re.compile(
    rf"(?:{_NAMES})(?P<colon>:|%(?P<again>(?:25)*)3[Aa])"
    r"(?:(?P<tag>v[0-9]{1,9})(?P=colon)(?=[A-Za-z0-9{])|(?=\{|%(?:25)*7[Bb])|(?=e[wy]))"
)
#: Base64 of both alphabets with padding, escaped slashes, and dots for what was left out.
_BASE64 = re.compile(r"(?:[A-Za-z0-9_+/=-]+|\\+/|%(?:25)*(?:2[BbFfDd]|3[Dd]|5[Ff])|\.{2,}|…)*")
_SEGMENTS = re.compile(r"(?:[A-Za-z0-9_+/=:.-]+|\\+/|%(?:25)*(?:2[BbFfDdEe]|3[AaDd]|5[Ff])|…)*")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}|[A-Za-z0-9_.~!*()+:/-]+)*")
_NEXT_LINE = re.compile(r"[ \t]*\r?\n[ \t]*([A-Za-z0-9_+/=-]+)(?=[ \t]*(?:\r?\n|$))")
_LINE = re.compile(r"[^\n]*")
_SLASHES = re.compile(r"\\+/")
#: Signs that show the structure of JSON at any level of escaping.
_QUOTE_OR_BRACKET = re.compile(r'(\\*)"|[{}]')
#: So often the lines of a text are read as a ref that ends there.
_MOST_TRIES = 16
#: The last characters of base64, padding included.
_TAIL = 8
#: The standard alphabet of base64 in that of URLs.
TO_URL = str.maketrans("+/", "-_")
_LINES_TO_URL = str.maketrans("+/", "-_", " \t\r\n")
#: So many characters show whether a ref begins at the first of them, or ends there.
_LOOK_AHEAD = 256
_decoder = json.JSONDecoder(strict=False)
_SEGMENT_PREFIXES = tuple(wire.prefix for wire in DIALECTS.values() if wire.encoding == "segments")


class TextRef(NamedTuple):
    """A ref in a text.

    Attributes:
        start: Index of its first character in the text.
        end: Index behind its last one, as it is spelled there.
        line: Of its first character, from 1.
        column: Likewise, in characters from 1.
        ref: The ref, without the escapes of the text; it may still be rejected.
        escapes: How often JSON strings escaped it, as far as the ref shows it.
        percent: How often it was percent-coded.
    """

    start: int
    end: int
    line: int
    column: int
    ref: str
    escapes: int = 0
    percent: int = 0


def may_hold_ref(text: str | bytes) -> bool:
    """Whether one of the words is in a text without which `find_refs` finds nothing."""
    if isinstance(text, bytes):
        return any(word in text for word in _WORDS_IN_BYTES)
    return any(word in text for word in _WORDS)


def find_refs(text: str) -> Iterator[TextRef]:
    """Every ref in a text, in its order.

    The text is taken as characters, whatever it is otherwise. Refs in strings of JSON come with
    their escapes undone, at any number of levels. Letters that are spelled as escapes are left to
    a reader of JSON.
    """
    line, line_start, counted = 1, 0, 0
    match = _START.search(text)
    while match:
        start = match.start()
        line += text.count("\n", counted, start)
        line_start = max(line_start, text.rfind("\n", counted, start) + 1)
        counted = start
        following = _START.search(text, match.end())
        most = following.start() if following else len(text)
        found = _found(text, match, most, (line, start - line_start + 1))
        yield found
        match = following if found.end <= most else _START.search(text, found.end)


class TextParts:
    """`find_refs` of a text that comes in parts: a ref may lie across them.

    Args:
        most: Characters that are held of one ref; a longer one ends where they do.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[str] = []
        self._held = 0
        self._wanted = 0

    @property
    def is_idle(self) -> bool:
        """Whether a next part without one of the words may be left out."""
        return not self._held

    def take(self, part: str, *, is_last: bool) -> Iterator[tuple[str, TextRef | None]]:
        """What the text holds so far, as far as a next part cannot change it.

        Pieces of the text, and for those that are a ref what it is; its place counts within what
        was held.
        """
        self._parts.append(part)
        self._held += len(part)
        if self._held < self._wanted and not is_last:
            return
        text, end = "".join(self._parts), 0
        keep = len(text) if is_last else len(text) - _LOOK_AHEAD
        # As much again is waited for, so that a long ref is not read too often.
        self._wanted = 0
        for found in find_refs(text):
            if not is_last and self._may_go_on(text, found):
                keep, self._wanted = found.start, 2 * (len(text) - found.start)
                break
            yield text[end : found.start], None
            yield text[found.start : found.end], found
            end = found.end
        keep = max(keep, end)
        yield text[end:keep], None
        self._parts, self._held = [text[keep:]], len(text) - keep

    def _may_go_on(self, text: str, found: TextRef) -> bool:
        if len(text) - found.start > self._most:
            return False
        end = found.end
        while match := _NEXT_LINE.match(text, end):
            end = match.end()
        return end > len(text) - _LOOK_AHEAD


def place_in(text: str, index: int) -> tuple[int, int]:
    """Line and column of a character, both from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _found(text: str, match: re.Match[str], most: int, place: tuple[int, int]) -> TextRef:
    """The ref that begins with a match; one of base64 or segments ends before `most`."""
    start, body = match.start(), match.end()
    percent = 0 if match["colon"] == ":" else 1 + len(match["again"]) // 2
    if match["tag"] is None and not text.startswith(("ew", "ey"), body):
        if percent:
            return _percent_object(text, start, body, place, percent)
        return _object(text, start, body, place)
    if _unquoted(match[0], percent).startswith((*_SEGMENT_PREFIXES, FEATURES_PREFIX)):
        end = min(_end(_SEGMENTS, text, body), most)
        if text.endswith((".", ":"), start, end) and not text.endswith("..", start, end):
            # The end of a sentence, or what a log goes on with.
            end -= 1
    else:
        end = min(_end(_BASE64, text, body), most)
        end += _length_of_lines(text, body, end)
    ref = _SLASHES.sub("/", text[start:end])
    return TextRef(start, end, *place, _unquoted(ref, percent), percent=percent)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    assert match is not None
    return match.end()


def _unquoted(text: str, times: int) -> str:
    for _ in range(times):
        text = unquote(text)
    return text


def _length_of_lines(text: str, body: int, start: int) -> int:
    """Characters in which a body that begins at `body` goes on over the lines behind `start`.

    0 where it does not end in them.
    """
    end, tries = start, _MOST_TRIES
    # A body of many lines is put together only where it may close.
    size, tail = start - body, text[body:start][-_TAIL:]
    while match := _NEXT_LINE.match(text, end):
        if _may_close(tail, size):
            if _is_object(text[body:end]):
                return end - start
            tries -= 1
            if not tries:
                return 0
        size += len(match[1])
        tail = (tail + match[1][-_TAIL:])[-_TAIL:]
        end = match.end()
    return end - start if _is_object(text[body:end]) else 0


def _may_close(tail: str, size: int) -> bool:
    """Whether the last byte of base64 is that of a closing bracket; the rest is not looked at."""
    text = tail.rstrip("=")
    size -= len(tail) - len(text)
    data = decode_url(text[-(size % 4 or 4) :].translate(TO_URL))
    return data is not None and data.endswith(b"}")


def _is_object(body: str) -> bool:
    data = decode_url(body.rstrip("=").translate(_LINES_TO_URL))
    if data is None or not data.endswith(b"}"):
        return False
    with contextlib.suppress(ValueError, RecursionError):
        return isinstance(json.loads(data), dict)
    return False


def _object(text: str, start: int, body: int, place: tuple[int, int]) -> TextRef:
    """A ref whose body is JSON text, in strings of JSON at any level."""
    first = _QUOTE_OR_BRACKET.search(text, body + 1, _end(_LINE, text, body))
    level = 0 if first is None or first[1] is None else len(first[1]).bit_length()
    end = _closing_bracket(text, body, 1 << level)
    if end is None:
        # Cut off: it may reach to the end of its line.
        end = _end(_LINE, text, body)
    ref = text[start:end]
    with contextlib.suppress(ValueError):
        for _ in range(level):
            ref = _decoder.decode(f'"{ref}"')
    return TextRef(start, end, *place, ref, level)


def _closing_bracket(text: str, start: int, power: int) -> int | None:
    """The end of the object at `start`, whose quotes stand behind `power` - 1 backslashes."""
    depth, in_string = 0, False
    # No ref has a line break, and a text of many beginnings is still read once.
    for match in _QUOTE_OR_BRACKET.finditer(text, start, _end(_LINE, text, start)):
        if match[1] is not None:
            # Each level doubles the backslashes of a string's own and adds one to its quotes.
            if not in_string or len(match[1]) % (2 * power) == power - 1:
                in_string = not in_string
        elif not in_string:
            depth += 1 if match[0] == "{" else -1
            if depth == 0:
                return match.end()
    return None


def _percent_object(
    text: str, start: int, body: int, place: tuple[int, int], percent: int
) -> TextRef:
    end = _end(_PERCENT, text, body)
    decoded = _unquoted(text[start:end], percent)
    if "{" not in decoded:
        # Its bracket is escaped more or less often than its colon.
        return TextRef(start, end, *place, decoded, percent=percent)
    found = _object(decoded, 0, decoded.index("{"), place)
    if found.end < len(decoded):
        # Each character behind the object is one here, or an escape.
        escape = re.compile(rf"%(?:25){{{percent - 1}}}[0-9A-Fa-f]{{2}}|[\s\S]")
        ends = [match.end() for match in escape.finditer(text, start, end)]
        if len(ends) == len(decoded):
            end = ends[found.end - 1]
    return found._replace(start=start, end=end, percent=percent)
