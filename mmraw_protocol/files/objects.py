"""Envelopes and features bodies inside a document of any size, gathered whole in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..wire.item import KIND
from ..wire.ref import PREFIX
from .heads import Heads
from .scan_patterns import NO_RUN, Found, State
from .scanner import OBJECT, Scanner

#: Refs, and the value that says that an object is an envelope.
HEADS = Heads([PREFIX, KIND], bare=[PREFIX], keys=True)

_MARKS = {"kwargs_data": 1, "mm_hashes": 2}
_FEATURES = 3
_ENVELOPE = 4
#: Bytes after which an object that shows none of the marks is no longer kept.
UNMARKED_BYTES = 16 << 20


class OpenObject(msgspec.Struct):
    """An object that is being read.

    Attributes:
        start: Its first byte in the input.
        line: The line of it.
        marks: Which of the keys that tell an envelope or a features body stand directly in it.
        kept: Whether its bytes are at hand.
    """

    start: int
    line: int
    marks: int = 0
    kept: bool = True

    @property
    def is_envelope(self) -> bool:
        """Whether its kind is an envelope's."""
        return bool(self.marks & _ENVELOPE)

    @property
    def is_wanted(self) -> bool:
        """Whether it is an envelope or a features body."""
        return self.is_envelope or self.marks & _FEATURES == _FEATURES


class ObjectScanner(Scanner):
    """A scanner that also gathers the objects that are envelopes or features bodies.

    Args:
        read, line: As for `Scanner`.
        most: Bytes of a ref.
        most_object: Bytes of an envelope or a features body.
    """

    def __init__(
        self, read: Callable[[int], bytes], *, most: int, most_object: int, line: int = 1
    ) -> None:
        super().__init__(read, HEADS, most=most, line=line)
        self._run = (self._run[0], NO_RUN)  # every key is looked at
        self._most_object = most_object
        self._objects: list[OpenObject] = []
        self._held = bytearray()
        self._held_start = 0
        self._closed: list[tuple[OpenObject, bytes | None]] = []

    def _place(self) -> str:
        # The line is told with each finding, and who reads a part of a file knows no other number.
        self._count(self._position)
        return f"byte {self._column} of the line"

    @property
    def may_be_inside(self) -> bool:
        """Whether what is read now may turn out to belong to an envelope or a features body."""
        return any(one.kept for one in self._objects)

    def take_closed(self) -> list[tuple[OpenObject, bytes | None]]:
        """The wanted objects that ended since the last call; None for one too long to keep."""
        closed, self._closed = self._closed, []
        return closed

    def note(self, found: Found) -> bool:
        """Takes note of a value of `kind`; whether the string was that and no ref."""
        if found.text != KIND or found.key != "kind":
            return found.text is not None and not found.text.startswith(PREFIX)
        self._objects[-1].marks |= _ENVELOPE
        return True

    def _push(self, bracket: int) -> None:
        if bracket == OBJECT:
            self._objects.append(OpenObject(self.offset, self.line))
        super()._push(bracket)

    def _pop(self) -> None:
        bracket = self._stack[-1]
        super()._pop()
        if bracket == OBJECT:
            one = self._objects.pop()
            if one.is_wanted:
                self._closed.append((one, self._bytes_of(one)))

    def _member(self) -> Found | None:
        found = super()._member()
        if self._state == State.COLON and self._key in _MARKS:
            self._objects[-1].marks |= _MARKS[self._key]
        return found

    def _bytes_of(self, one: OpenObject) -> bytes | None:
        if not one.kept:
            return None
        if one.start >= self._passed:
            return self._buffer[one.start - self._passed : self._position]
        return bytes(self._held[one.start - self._held_start :]) + self._buffer[: self._position]

    def _more(self) -> None:
        self._hold()
        super()._more()

    def _hold(self) -> None:
        """Keeps what is passed on, from the first object on that may still be wanted."""
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

    def _first_kept(self) -> OpenObject | None:
        return next((one for one in self._objects if one.kept), None)

    def _limit_of(self, one: OpenObject) -> int:
        return self._most_object if one.marks else UNMARKED_BYTES
