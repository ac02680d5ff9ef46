"""A JSON document of any size as bytes to pass on and strings to look at, in bounded memory.

The document is checked as far as strings could else be misread: brackets, commas, colons, numbers,
literals, escapes and UTF-8. Duplicate keys pass, and so do `NaN` and `Infinity`, which Python's own
writer emits: neither changes where a string begins or ends.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from ..wire.errors import MMRawError
from ..wire.json import MAX_DEPTH
from .prefixes import StringPrefixes
from .scan_patterns import (
    KEY_AND_COLON,
    KEY_WINDOW,
    SCALAR_BYTES,
    SCALAR_TEXT,
    SPACE,
    STRING_BODY,
    StringMatch,
    decode_string,
    plain_runs,
)


class State:
    """Where the next byte stands."""

    START = 0  # before a document, or the end
    STRING = 1  # inside a string that is passed on
    WANTED = 2  # inside a string that is collected
    VALUE = 3  # before the value of a document or a member
    FIRST = 4  # before a value or ]
    ITEM = 5  # before a value behind a comma
    FIRST_KEY = 6  # before a key or }
    KEY = 7
    COLON = 8
    AFTER = 9  # before a comma or a closing bracket
    TEXT = 10  # inside a string that is looked through; for those who read so


#: Bytes asked of the input at once; more while one string is collected.
CHUNK = 1 << 20


class Scanner:
    """Reads documents that stand one after the other, on lines of their own.

    Args:
        read: Gives up to so many bytes, and none at the end.
        prefixes: The strings to stop at.
        most: Bytes of such a string; longer ones are reported without their text.
        line: The line at which the input begins.
    """

    #: The state within a string that does not begin as wanted.
    _unwanted = State.STRING

    def __init__(
        self, read: Callable[[int], bytes], prefixes: StringPrefixes, *, most: int, line: int = 1
    ) -> None:
        self._read = read
        self._prefixes = prefixes
        self._most = most
        self._buffer = b""
        self._position = 0
        self._ended = False
        self._state = State.START
        self._after_string = State.AFTER
        self._stack = bytearray()
        self._key: str | None = None
        self._checked: int = 0  # of a wanted string: bytes already known to lie inside it
        self._line = line
        self._column = 1
        self._counted = 0  # how far line and column are counted
        self._given = 0  # how far the buffer is passed on
        self._passed = 0  # bytes before the buffer
        self._on_fresh_line = True
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._steps = [self._start, self._string, self._wanted, *[self._token] * 7]
        # Many members at once that need no look.
        items, members = plain_runs(prefixes)
        self._runs: dict[int, re.Pattern[bytes]] = {State.ITEM: items, State.KEY: members}

    @property
    def rest(self) -> bytes:
        """Bytes that were read but not consumed."""
        return self._buffer[self._position :]

    @property
    def offset(self) -> int:
        """How many bytes are consumed."""
        return self._passed + self._position

    @property
    def line(self) -> int:
        """The line of the next byte."""
        self._count(self._position)
        return self._line

    @property
    def is_between(self) -> bool:
        """Whether a document is open, and no string of it."""
        return bool(self._stack) and self._state not in _IN_STRING

    def pieces(self, at_least: int | None = None) -> Iterator[bytes | StringMatch]:
        """The input, in order: bytes to pass on as they are, and strings to look at.

        Args:
            at_least: Stop between two documents once so many bytes are consumed; None reads all.

        Raises:
            MMRawError: invalid_json, invalid_encoding, limit_exceeded; the message names the place.
        """
        while True:
            found = self._steps[self._state]()
            stops = self._state == State.START and self._may_stop(at_least)
            if found is None and not stops:
                continue
            end = self._position - (0 if found is None else len(found.raw))
            if end > self._given:
                yield self._buffer[self._given : end]
            self._given = self._position
            if found is not None and found is not MORE:
                yield found
            elif stops:
                return
            elif not self._ended:
                self._more()
            elif self._position < len(self._buffer) or self._state != State.START:
                self._fail("the document ends too early")
            else:
                return

    def _may_stop(self, at_least: int | None) -> bool:
        return at_least is not None and self._on_fresh_line and self.offset >= at_least

    def _more(self) -> None:
        self._count(self._position)
        self._buffer = self._buffer[self._position :]
        self._passed += self._position
        self._counted = self._position = self._given = 0
        # Asking for as much as is held keeps the copying linear while a long string is collected;
        # of one that is too long no more is wanted than shows that.
        held = len(self._buffer)
        wanted = max(self._most // 2 - held, held // 8)
        data = self._read(max(CHUNK, min(held, wanted, CHUNK << 5)))
        if not data:
            self._ended = True
            self._check_utf8(b"")
            return
        self._check_utf8(data)
        self._buffer = self._buffer + data if self._buffer else data
        if self._passed == 0 and self._buffer.startswith(codecs.BOM_UTF8):
            raise MMRawError("invalid_encoding", "a byte order mark stands before the JSON")

    def _check_utf8(self, data: bytes) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            self._utf8.decode(data, final=not data)
            return
        raise MMRawError("invalid_encoding", "the document is not UTF-8")

    def _count(self, position: int) -> None:
        # To look for one is faster than to count none.
        if self._buffer.find(b"\n", self._counted, position) >= 0:
            self._line += self._buffer.count(b"\n", self._counted, position)
            self._column = position - self._buffer.rfind(b"\n", self._counted, position)
        else:
            self._column += position - self._counted
        self._counted = position

    def _place(self) -> str:
        """Where the next byte stands, for messages."""
        return f"line {self.line}, byte {self._column}"

    def _fail(self, reason: str) -> NoReturn:
        raise MMRawError("invalid_json", f"not JSON at {self._place()}: {reason}")

    def _skip_space(self) -> int:
        """The next byte behind whitespace, or -1 where there is none yet."""
        match = SPACE.match(self._buffer, self._position)
        assert match is not None
        self._position = match.end()
        return self._buffer[self._position] if self._position < len(self._buffer) else -1

    def _lacks(self, count: int) -> bool:
        """Whether fewer bytes are at hand, and more may come."""
        return not self._ended and len(self._buffer) - self._position < count

    def _start(self) -> StringMatch | None:
        begin = self._position
        following = self._skip_space()
        if self._buffer.find(b"\n", begin, self._position) >= 0:
            self._on_fresh_line = True
        if following < 0:
            return MORE
        if self._position > begin:
            return None  # between two documents, where reading may stop
        if not self._on_fresh_line:
            self._fail("a second document on one line")
        if self._prefixes.bare and following not in b'{["':
            return self._bare_line()
        self._on_fresh_line = False
        self._state = State.VALUE
        return None

    def _bare_line(self) -> StringMatch | None:
        if self._lacks(max(map(len, self._prefixes.bare))):
            return MORE
        if not self._buffer.startswith(self._prefixes.bare, self._position):
            self._on_fresh_line = False
            self._state = State.VALUE
            return None
        end = self._buffer.find(b"\n", self._position)
        if end < 0 and not self._ended and len(self._buffer) - self._position <= self._most:
            return MORE
        end = len(self._buffer) if end < 0 else end
        raw = self._buffer[self._position : end].rstrip()
        if len(raw) > self._most:
            message = f"longer than a ref may be, at {self._place()}"
            raise MMRawError("limit_exceeded", message)
        self._count(self._position)
        self._position += len(raw)
        text = raw.decode("utf-8", "replace")
        self._on_fresh_line = False
        return StringMatch(raw, text, None, self._line, self._column, bare=True)

    def _token(self) -> StringMatch | None:
        """A bracket, a sign, a scalar or the beginning of a string, whichever may come next."""
        state = self._state
        if state in self._runs:
            self._skip_run(self._runs[state])
        following = self._skip_space()
        if following < 0:
            return MORE
        if state in _MAY_END and following == _ENDS[self._stack[-1]]:
            self._pop()
        elif state == State.AFTER:
            self._sign(following, _COMMA, "expected a comma or the closing bracket")
            self._state = State.ITEM if self._stack[-1] == ARRAY else State.KEY
        elif state == State.COLON:
            self._sign(following, _COLON, "expected a colon behind a key")
            self._state = State.VALUE
        elif state in (State.KEY, State.FIRST_KEY):
            return self._open_key(following)
        elif following == _QUOTE:
            return self._open_string()
        elif following in (ARRAY, OBJECT):
            return self._push(following)
        else:
            return self._scalar()
        return None

    def _next_word(self, start: int) -> int:
        """Where what may not be skipped begins next, from there on."""
        return len(self._buffer)

    def _skip_run(self, run: re.Pattern[bytes]) -> None:
        end = self._next_word(self._position)
        while match := run.match(self._buffer, self._position, end):
            self._position = match.end()
            self._key = None

    def _sign(self, following: int, expected: int, otherwise: str) -> None:
        if following != expected:
            self._fail(otherwise)
        self._position += 1

    def _open_key(self, following: int) -> StringMatch | None:
        if following != _QUOTE:
            self._fail("expected a key in quotes")
        if self._lacks(KEY_WINDOW):
            return MORE
        if match := KEY_AND_COLON.match(self._buffer, self._position):
            self._position = match.end()
            self._key = decode_string(match[1])
            self._state = State.COLON if match[2] is None else State.VALUE
        else:
            self._position += 1
            self._after_string = State.COLON
            self._state = State.STRING
        return None

    def _push(self, bracket: int) -> StringMatch | None:
        if len(self._stack) >= MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels at {self._place()}"
            raise MMRawError("limit_exceeded", message)
        self._stack.append(bracket)
        self._position += 1
        self._key = None
        self._state = State.FIRST if bracket == ARRAY else State.FIRST_KEY
        return None

    def _pop(self) -> None:
        self._stack.pop()
        self._position += 1
        self._state = self._state_after_value()

    def _state_after_value(self) -> int:
        self._key = None
        return State.AFTER if self._stack else State.START

    def _scalar(self) -> StringMatch | None:
        match = SCALAR_TEXT.match(self._buffer, self._position)
        if match is None or match.end() == len(self._buffer):
            if self._lacks(SCALAR_BYTES):
                return MORE
            if match is None or match.end() - match.start() >= SCALAR_BYTES:
                self._fail("neither a string, a number, an array, an object nor a literal")
        self._position = match.end()
        self._state = self._state_after_value()
        return None

    def _open_string(self) -> StringMatch | None:
        if self._lacks(self._prefixes.window):
            return MORE
        if self._prefixes.begins(self._buffer, self._position):
            self._state = State.WANTED
            self._checked = 1
        else:
            self._position += 1
            self._checked = 0
            self._after_string = self._state_after_value()
            self._state = self._unwanted
        return None

    def _body_end(self, start: int, upto: int = sys.maxsize) -> int:
        """How far the inside of a string is known to reach: a quote, or the end of the buffer."""
        while True:
            match = STRING_BODY.match(self._buffer, start, upto)
            assert match is not None
            if match.end() == start:
                return start
            start = match.end()

    def _closes(self, end: int) -> bool:
        """Whether the string ends there; False where more is needed."""
        if end < len(self._buffer) and self._buffer[end] == _QUOTE:
            return True
        left = len(self._buffer) - end
        escape = left > 0 and self._buffer[end] == _BACKSLASH
        if not self._ended and (left == 0 or (escape and left < 6)):
            return False
        self._position = end
        return self._fail("a string with a bad escape, a control character, or without an end")

    def _string(self) -> StringMatch | None:
        self._position = self._body_end(self._position)
        if not self._closes(self._position):
            return MORE
        self._position += 1
        self._state = self._after_string
        return None

    def _wanted(self) -> StringMatch | None:
        end = self._body_end(self._position + self._checked)
        begin, self._checked = self._position, end - self._position
        too_long = self._checked > self._most or self._is_plainly_too_long(begin, end)
        if not self._closes(end) and not too_long:
            return MORE
        key = self._key
        self._count(begin)
        if too_long:
            self._position = end
            self._after_string = self._state_after_value()
            self._state = State.STRING
            return StringMatch(self._buffer[begin:end], None, key, self._line, self._column)
        self._position = end + 1
        self._state = self._state_after_value()
        raw = self._buffer[begin : end + 1]
        return StringMatch(raw, decode_string(raw), key, self._line, self._column)

    def _is_plainly_too_long(self, begin: int, end: int) -> bool:
        """Whether a string without escapes is longer than half of what escapes may make of it."""
        if self._checked <= max(self._most // 2, CHUNK):
            return False
        return self._buffer.find(b"\\", begin, end) < 0


MORE = StringMatch(b"", None, None, 0, 0)
_QUOTE, _BACKSLASH, _COLON, _COMMA = b'"\\:,'
ARRAY, ARRAY_END, OBJECT, OBJECT_END = b"[]{}"
_ENDS = {ARRAY: ARRAY_END, OBJECT: OBJECT_END}
_IN_STRING = (State.STRING, State.WANTED, State.TEXT)
_MAY_END = (State.FIRST, State.FIRST_KEY, State.AFTER)
