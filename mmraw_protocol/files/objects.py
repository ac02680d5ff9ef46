"""Envelopes, features bodies, lists of images and conversations in a document of any size.

Each is gathered whole, in bounded memory.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import msgspec

from ..wire.errors import MMRawError
from ..wire.item import KIND
from ..wire.json import parse_json
from ..wire.ref import PREFIXES, is_ref
from .prefixes import StringPrefixes
from .scan_patterns import StringMatch
from .scanner import ARRAY, MORE, OBJECT, State
from .text_scanner import TextScanner
from .validation import LISTS, ROW_LISTS, URL_HEAD, Kind, ListKind, are_messages, list_kind

#: Refs, and the value that says that an object is an envelope.
_WANTED = StringPrefixes([*PREFIXES, KIND], bare=PREFIXES, keys=True)

_MARKS = {"kwargs_data": 1, "mm_hashes": 2}
_FEATURES = 3
_ENVELOPE = 4
_ROW = 8
#: Bytes after which an object that shows none of the marks is no longer kept.
UNMARKED_BYTES = 16 << 20

_SPACE = rb"[ \t\r\n]*"
#: How mm_refs begin where no key names them: anywhere in the array form, else as a document.
_ARRAY_HEAD = re.compile(_SPACE.join([rb"\[", rb"\[", rb"\[", b'"' + URL_HEAD.pattern.encode()]))
_DOCUMENT_HEAD = re.compile(
    _SPACE.join([rb"\[", rb"\{", rb'"(?:type|url|uuid)"', b":"])
    + b"|"
    + _SPACE.join([rb"\{", rb'"images"', b":", rb"\[", rb"(?:\]|\{", rb'"(?:url|offset|length)")'])
)
_MESSAGES_HEAD = re.compile(_SPACE.join([rb"\[", rb"\{", rb'"(?:role|from|content|value)"', b":"]))
_ROW_HEAD = re.compile(rb"\[" + _SPACE + rb"\{")
#: Bytes in which such a beginning is seen, indentation included.
_HEAD_WINDOW = 256


class OpenValue(msgspec.Struct):
    """An object or a list that is being read.

    Attributes:
        start: Its first byte in the input.
        line: The line of it.
        depth: How many brackets are open around it.
        named: The list of images that its key says it is.
        may_be_list: Whether it begins as a list of images that no key names.
        marks: Which of the keys that tell an envelope or a features body stand directly in it.
        kept: Whether its bytes are at hand.
    """

    start: int
    line: int
    depth: int
    named: ListKind | None = None
    may_be_list: bool = False
    marks: int = 0
    kept: bool = True

    @property
    def kind(self) -> Kind | None:
        """Its kind by its own key, or by the keys in it."""
        if self.named is not None:
            return self.named
        if self.marks & _ENVELOPE:
            return "envelope"
        if self.marks & _FEATURES == _FEATURES:
            return "features"
        return "messages" if self.marks & _ROW else None

    @property
    def is_unmarked(self) -> bool:
        """Whether nothing so far says that it is wanted."""
        return not (self.marks or self.named or self.may_be_list)


class ObjectScanner(TextScanner):
    """A scanner that also gathers envelopes, features bodies, lists of images and conversations.

    Args:
        read, line: As for `Scanner`.
        most: Bytes of a ref.
        most_object: Bytes of what is gathered.
    """

    def __init__(
        self, read: Callable[[int], bytes], *, most: int, most_object: int, line: int = 1
    ) -> None:
        super().__init__(read, _WANTED, most=most, line=line)
        del self._runs[State.KEY]  # every key is looked at
        self._most_object = most_object
        self._open: list[OpenValue] = []
        self._held = bytearray()
        self._held_start = 0
        self._closed: list[tuple[OpenValue, Kind, bytes | None]] = []

    def _place(self) -> str:
        # Each finding has its line: a reader of a part of a file knows no other number.
        self._count(self._position)
        return f"byte {self._column} of the line"

    @property
    def may_be_inside(self) -> bool:
        """Whether what is read now may turn out to belong to something that is gathered."""
        return any(one.kept for one in self._open)

    def take_closed(self) -> list[tuple[OpenValue, Kind, bytes | None]]:
        """Values gathered since the last call; None for the bytes of one too long to keep."""
        closed, self._closed = self._closed, []
        return closed

    def note(self, found: StringMatch) -> bool:
        """Takes note of a value of `kind`; whether the string was that and no ref."""
        if found.text != KIND or found.key != "kind":
            return found.text is not None and not is_ref(found.text)
        self._open[-1].marks |= _ENVELOPE
        return True

    def _push(self, bracket: int) -> StringMatch | None:
        # How a list begins is seen when its bracket is.
        if (bracket == ARRAY or not self._stack) and self._lacks(_HEAD_WINDOW):
            return MORE
        named = LISTS.get(self._key or "")
        if self._open and self._key in ROW_LISTS and self._begins(_ROW_HEAD):
            self._open[-1].marks |= _ROW
        may_be_list = named is None and self._begins_as_list()
        if bracket == OBJECT or named is not None or may_be_list:
            one = OpenValue(self.offset, self.line, len(self._stack), named, may_be_list)
            self._open.append(one)
        return super()._push(bracket)

    def _begins_as_list(self) -> bool:
        if self._begins(_ARRAY_HEAD):
            return True
        # Those under a key of a row are checked with the row, and the images beside them.
        if self._key not in ROW_LISTS and self._begins(_MESSAGES_HEAD):
            return True
        return not self._stack and self._begins(_DOCUMENT_HEAD)

    def _begins(self, head: re.Pattern[bytes]) -> bool:
        return head.match(self._buffer, self._position) is not None

    def _pop(self) -> None:
        super()._pop()
        if self._open and self._open[-1].depth == len(self._stack):
            self._close(self._open.pop())

    def _close(self, one: OpenValue) -> None:
        kind = one.kind
        if kind is None and one.may_be_list:
            kind = _kind_of_list(self._bytes_of(one))
        if kind is not None:
            self._closed.append((one, kind, self._bytes_of(one)))

    def _open_key(self, following: int) -> StringMatch | None:
        found = super()._open_key(following)
        if self._state != State.STRING and self._key in _MARKS:
            self._open[-1].marks |= _MARKS[self._key]
        return found

    def _bytes_of(self, one: OpenValue) -> bytes | None:
        if not one.kept:
            return None
        if one.start >= self._passed:
            return self._buffer[one.start - self._passed : self._position]
        return bytes(self._held[one.start - self._held_start :]) + self._buffer[: self._position]

    def _more(self) -> None:
        self._hold()
        super()._more()

    def _hold(self) -> None:
        """Keeps what is passed on, from the first value on that may still be wanted."""
        if self._held:
            self._held += self._buffer[: self._position]
        first = self._first_kept()
        while first is not None and self.offset - first.start > self._limit_of(first):
            first.kept = False
            first = self._first_kept()
        if first is None:
            self._held.clear()
        elif not self._held:
            self._held_start = first.start
            self._held += self._buffer[first.start - self._passed : self._position]
        elif first.start > self._held_start:
            del self._held[: first.start - self._held_start]
            self._held_start = first.start

    def _first_kept(self) -> OpenValue | None:
        return next((one for one in self._open if one.kept), None)

    def _limit_of(self, one: OpenValue) -> int:
        return UNMARKED_BYTES if one.is_unmarked else self._most_object


def _kind_of_list(raw: bytes | None) -> Kind | None:
    """The kind of a value that began as a list of images, or of messages."""
    with contextlib.suppress(MMRawError):
        value = None if raw is None else parse_json(raw)
        return "messages" if are_messages(value) else list_kind(value)
    return None
