"""MessagePack of any size as it streams by: its tokens, and the same documents as lines of JSON.

Nothing is set aside for a length before its bytes are there. Binary data and extensions pass: they
hold no strings of this protocol.

Source: the MessagePack specification, section "Formats".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Literal, NamedTuple

import msgspec

from .errors import MMRawError
from .json import MAX_DEPTH
from .msgpack import is_msgpack

#: Bytes asked of the input at once, and of a long string held at once.
CHUNK = 1 << 16

Kind = Literal["text", "binary", "array", "map", "scalars"]

#: The kind that a first byte begins, if the byte includes the size.
_SMALL: dict[int, tuple[Kind, int]] = {
    **{0x80 + size: ("map", size) for size in range(16)},
    **{0x90 + size: ("array", size) for size in range(16)},
    **{0xA0 + size: ("text", size) for size in range(32)},
}
#: Bytes of a number after its first byte.
_NUMBERS = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
}  # fmt: skip
#: The kind that a first byte begins, if the size follows, and in how many bytes.
_SIZED: dict[int, tuple[Kind, int]] = {
    0xC4: ("binary", 1), 0xC5: ("binary", 2), 0xC6: ("binary", 4),
    0xC7: ("binary", 1), 0xC8: ("binary", 2), 0xC9: ("binary", 4),
    0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4),
    0xDC: ("array", 2), 0xDD: ("array", 4), 0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
#: First bytes of extensions, which have one more byte for their type.
_TYPED = (0xC7, 0xC8, 0xC9)
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_SCALAR = re.compile(
    rb"[\x00-\x7f\xe0-\xff\xc0\xc2\xc3]"
    rb"|[\xcc\xd0].|[\xcd\xd1].{2}|[\xca\xce\xd2].{4}|[\xcb\xcf\xd3].{8}",
    re.DOTALL,
)
_SCALARS = re.compile(rb"(?:" + _SCALAR.pattern + rb")+", re.DOTALL)
#: Bytes in which consecutive numbers are taken together.
_RUN = 1 << 14


class Token(NamedTuple):
    """The next thing in the input.

    Attributes:
        kind: `scalars` are consecutive numbers and literals.
        raw: Its bytes; of a text or binary data those before the content.
        size: Bytes of the content; members of an array, pairs of a map, numbers of the scalars.
        at: Its first byte in the input, from 0.
    """

    kind: Kind
    raw: bytes
    size: int
    at: int


class Level(msgspec.Struct):
    """An array or a map that is open.

    Attributes:
        is_map: Whether it is a map.
        members: How many it has; keys count too.
        done: How many of them were begun.
        key: The key whose value comes next, if it was short enough to be reported.
    """

    is_map: bool
    members: int
    done: int = 0
    key: str | None = None

    @property
    def is_at_key(self) -> bool:
        """True if the token that was read last is a key."""
        return self.is_map and self.done % 2 == 1


class PackedReader:
    """Reads the tokens of consecutive documents.

    Args:
        read: Gives up to so many bytes, and none at the end.

    Attributes:
        levels: Open levels, the outermost first; the reader of tokens removes finished ones.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._buffer = b""
        self._at = 0
        self._passed = 0
        self.levels: list[Level] = []

    def next(self) -> Token | None:
        """The next token, None at the end. The content of the one before must have been read.

        Raises:
            MMRawError: invalid_msgpack, invalid_type (a key that is no string), limit_exceeded
                (nesting).
        """
        if not self.peek(1):
            if self.levels:
                raise self._broken("the document ends too early")
            return None
        token = self._run() or self._one()
        if self.levels:
            level = self.levels[-1]
            level.done += token.size if token.kind == "scalars" else 1
            if level.is_at_key and token.kind != "text":
                message = f"expected strings as object keys{self._place()}, got another type"
                raise MMRawError("invalid_type", message)
        if token.kind in ("array", "map"):
            if len(self.levels) >= MAX_DEPTH:
                message = f"expected at most {MAX_DEPTH} levels of nesting{self._place()}, got more"
                raise MMRawError("limit_exceeded", message)
            is_map = token.kind == "map"
            self.levels.append(Level(is_map, token.size * (1 + is_map)))
        return token

    def closed(self) -> Iterator[Level]:
        """Takes off what ends with the token that was read last, the innermost first."""
        while self.levels and self.levels[-1].done == self.levels[-1].members:
            yield self.levels.pop()

    def content(self, size: int) -> Iterator[bytes]:
        """The content of a text or of binary data, in pieces."""
        while size:
            part = self._take(min(size, CHUNK))
            size -= len(part)
            yield part

    def peek(self, size: int) -> bytes:
        """Returns up to so many bytes without consuming them; fewer at the end of the input."""
        while len(self._buffer) - self._at < size:
            data = self._read(CHUNK)
            if not data:
                break
            self._passed += self._at
            self._buffer, self._at = self._buffer[self._at :] + data, 0
        return self._buffer[self._at : self._at + size]

    def _take(self, size: int) -> bytes:
        data = self.peek(size)
        if len(data) < size:
            raise self._broken("the document ends too early")
        self._at += size
        return data

    def _run(self) -> Token | None:
        """Numbers and literals in an array, together."""
        if not self.levels or self.levels[-1].is_map:
            return None
        level = self.levels[-1]
        left = level.members - level.done
        first = _SCALARS.match(self.peek(min(_RUN, 9 * left)))
        if first is None:
            return None
        found: list[bytes] = _SCALAR.findall(first.group())[:left]
        raw = b"".join(found)
        at = self._passed + self._at
        self._at += len(raw)
        return Token("scalars", raw, len(found), at)

    def _one(self) -> Token:
        at = self._passed + self._at
        raw = self._take(1)
        first = raw[0]
        if first in _SMALL:
            kind, size = _SMALL[first]
            return Token(kind, raw, size, at)
        if first in _SIZED:
            kind, width = _SIZED[first]
            raw += self._take(width)
            size = int.from_bytes(raw[1:], "big") + (first in _TYPED)
            return Token(kind, raw, size, at)
        if first in _FIXED_EXTENSIONS:
            return Token("binary", raw, 1 + _FIXED_EXTENSIONS[first], at)
        if first == 0xC1:  # the one byte that begins nothing
            raise self._broken("no value begins so")
        return Token("scalars", raw + self._take(_NUMBERS.get(first, 0)), 1, at)

    def _broken(self, reason: str) -> MMRawError:
        return MMRawError("invalid_msgpack", f"not MessagePack{self._place()}: {reason}")

    def _place(self) -> str:
        return f" at byte {self._passed + self._at + 1}"


def json_lines(read: Callable[[int], bytes], *, with_binary: bool = False) -> Iterator[bytes]:
    """The documents as JSON, a line each, in pieces.

    Numbers that are not finite become null, and so do binary data and extensions.

    Args:
        read: Gives up to so many bytes, and none at the end.
        with_binary: Binary data and extensions become strings, a character for each byte.

    Raises:
        MMRawError: what `PackedReader.next` raises, invalid_encoding.
    """
    reader = PackedReader(read)
    while (token := reader.next()) is not None:
        outer = reader.levels[:-1] if token.kind in ("array", "map") else reader.levels
        if outer:
            yield _separator(outer[-1], token)
        if token.kind == "text":
            yield from _quoted(reader, token, "utf-8")
        elif token.kind == "binary" and with_binary:
            yield from _quoted(reader, token, "latin-1")
        elif token.kind == "binary":
            for _ in reader.content(token.size):
                pass
            yield b"null"
        elif token.kind == "scalars":
            yield _numbers(token)
        else:
            yield b"{" if token.kind == "map" else b"["
        for level in reader.closed():
            yield b"}" if level.is_map else b"]"
        if not reader.levels:
            yield b"\n"


def _separator(level: Level, token: Token) -> bytes:
    if level.done == (token.size if token.kind == "scalars" else 1):
        return b""
    return b":" if level.is_map and not level.is_at_key else b","


def _numbers(token: Token) -> bytes:
    # An array of a known length: every number is there already.
    whole = b"\xdd" + token.size.to_bytes(4, "big") + token.raw
    return msgspec.json.encode(msgspec.msgpack.decode(whole))[1:-1]


def _quoted(reader: PackedReader, token: Token, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    yield b'"'
    left = token.size
    for part in reader.content(token.size):
        left -= len(part)
        text: str | None = None
        try:
            text = decoder.decode(part, final=not left)
        except UnicodeDecodeError:
            text = None
        if text is None:
            message = f"expected UTF-8, got another byte in the string at byte {token.at + 1}"
            raise MMRawError("invalid_encoding", message)
        yield encode_basestring_ascii(text)[1:-1].encode("ascii")
    yield b'"'


class JsonText:
    """A stream that always gives JSON: MessagePack becomes lines of JSON.

    Args:
        read: Gives up to so many bytes, and none at the end.
        with_binary: As for `json_lines`.

    Attributes:
        was_packed: Whether the input begins as MessagePack.
    """

    def __init__(self, read: Callable[[int], bytes], *, with_binary: bool = False) -> None:
        first = read(1)
        self.was_packed = is_msgpack(first)
        self._held = b"" if self.was_packed else first
        self._source = read
        self._pieces: Iterator[bytes] | None = None
        if self.was_packed:
            self._pieces = json_lines(_Unread(first, read).read, with_binary=with_binary)

    def read(self, size: int) -> bytes:
        """Reads up to `size` bytes, none at the end."""
        if self._pieces is None:
            held, self._held = self._held, b""
            return held + self._source(size - len(held))
        self._fill(min(size, CHUNK))
        return self._give(size)

    def readline(self, size: int) -> bytes:
        """A line with its end, cut at `size` bytes, if the input is MessagePack."""
        while (end := self._held.find(b"\n", 0, size) + 1) == 0 and len(self._held) < size:
            if not self._fill(len(self._held) + CHUNK):
                return self._give(size)
        return self._give(end or size)

    def _fill(self, size: int) -> bool:
        """Holds so many bytes, if there are; whether more came."""
        assert self._pieces is not None
        parts, held = [self._held], len(self._held)
        while held < size and (part := next(self._pieces, None)) is not None:
            parts.append(part)
            held += len(part)
        grew = len(parts) > 1
        self._held = b"".join(parts)
        return grew

    def _give(self, size: int) -> bytes:
        data, self._held = self._held[:size], self._held[size:]
        return data


class _Unread:
    """A stream whose first bytes were read already."""

    def __init__(self, first: bytes, read: Callable[[int], bytes]) -> None:
        self._first = first
        self._read = read

    def read(self, size: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._read(size)
