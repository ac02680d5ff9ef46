"""Refs within longer strings of a document of any size: log lines, prose, JSON in quotes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from ..wire.ref import PREFIXES
from .prefixes import StringPrefixes
from .scan_patterns import ESCAPE, PLAIN, StringMatch, decode_string
from .scanner import MORE, Scanner, State
from .texts import TextParts

#: Without one of these words, or a letter of theirs as an escape, no string has a ref.
_WORD = re.compile(b"|".join(prefix.removesuffix(":").encode() for prefix in PREFIXES))
_ESCAPED_LETTER = re.compile(rb"\\(?=u00[67])")
#: A longer string is looked through in parts, where it ends behind what is at hand.
LONG_TEXT = 1 << 16
#: Bytes that are left to the next part: a word may begin in them.
_UNSURE = 64
#: The rest of most strings.
_REST = re.compile(b'%b{0,4096}(?:%b%b{0,4096}){0,64}"' % (PLAIN, ESCAPE, PLAIN))
#: The rest of a character before it; what stands before that ends no escape.
_REST_OF_CHARACTER = re.compile(rb"[\x80-\xbf]{1,3}|\\u[dD][c-fC-F][0-9a-fA-F]{2}|")


class TextScanner(Scanner):
    """A scanner that also stops at strings that do not begin as wanted, but may have refs in them.

    Of a long one it gives the refs, each as if it were a string.
    """

    _unwanted = State.TEXT

    def __init__(
        self, read: Callable[[int], bytes], prefixes: StringPrefixes, *, most: int, line: int = 1
    ) -> None:
        super().__init__(read, prefixes, most=most, line=line)
        self._steps.append(self._text)
        self._parts: TextParts | None = None  # of a long string
        self._refs: deque[str] = deque()  # found in it, and not yet given
        self._forget_words()

    def _more(self) -> None:
        super()._more()
        self._forget_words()

    def _forget_words(self) -> None:
        self._word = self._escape = -1

    def _next_word(self, start: int) -> int:
        if self._word < start:
            if self._escape < start:
                # To look for a backslash first is fast.
                first, end = self._buffer.find(b"\\", start), len(self._buffer)
                none = first < 0
                self._escape = end if none else _found(_ESCAPED_LETTER, self._buffer, first, end)
            self._word = _found(_WORD, self._buffer, start, self._escape)
        return self._word

    def _text(self) -> StringMatch | None:
        begin = self._position
        if self._parts is None and (match := _REST.match(self._buffer, begin)):
            return self._whole_text(begin, match.end() - 1)
        if self._refs:
            return self._ref_in_text()
        start = begin + self._checked
        cut = end = self._body_end(start, max(start, len(self._buffer) - _UNSURE))
        if self._buffer[end : end + 1] != b'"':
            end = self._body_end(cut)
        is_closed = self._closes(end)
        if self._parts is None and is_closed:
            return self._whole_text(begin, end)
        if not is_closed and end - begin <= LONG_TEXT:
            self._checked = cut - begin
            return MORE
        self._look_through(begin, cut, end, is_last=is_closed)
        if self._refs:
            return None
        if not is_closed:
            return MORE
        self._parts = None
        self._position += 1
        self._state = self._after_string
        return None

    def _whole_text(self, begin: int, end: int) -> StringMatch | None:
        self._position = end + 1
        self._state = self._after_string
        if self._next_word(begin) >= end:
            return None
        self._count(begin)
        raw = self._buffer[begin : end + 1]
        return StringMatch(raw, decode_string(b'"' + raw), None, self._line, self._column)

    def _look_through(self, begin: int, cut: int, end: int, *, is_last: bool) -> None:
        """Takes the refs of a part of a long string, and passes over it."""
        if self._parts is None:
            self._parts = TextParts(self._most // 2)
        rest = _REST_OF_CHARACTER.match(self._buffer, cut)
        assert rest is not None
        self._position = end if is_last else rest.end()
        self._checked = 0
        if not self._parts.is_idle or self._next_word(begin) < end:
            text = decode_string(b'"%b"' % self._buffer[begin : self._position])
            found = self._parts.take(text, is_last=is_last)
            self._refs += [one.ref for _, one in found if one is not None]

    def _ref_in_text(self) -> StringMatch:
        self._count(self._position)
        ref = self._refs.popleft()
        text = ref if len(ref) <= self._most // 2 else None
        return StringMatch(b"", text, None, self._line, self._column)


def _found(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> int:
    """Where a pattern is found; the end where it is not."""
    match = pattern.search(data, start, end)
    return end if match is None else match.start()
