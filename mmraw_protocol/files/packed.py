"""A file of MessagePack as bytes to pass on and strings to look at, as `Scanner` reads JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..wire.msgpack_stream import CHUNK, PackedReader, Token
from .prefixes import StringPrefixes, may_be_json_text
from .scan_patterns import StringMatch

#: Most bytes of a key that is reported with a matched string.
_KEY_BYTES = 256


def packed_pieces(
    read: Callable[[int], bytes], prefixes: StringPrefixes, *, most: int
) -> Iterator[bytes | StringMatch]:
    """The documents in order; a found string stands between the bytes around it.

    Its line is 1 and its column counts the bytes of the file.

    Args:
        read: Gives up to so many bytes, and none at the end.
        prefixes: The strings to stop at.
        most: Bytes of such a string; longer ones are reported without their text.

    Raises:
        MMRawError: invalid_msgpack, invalid_type, limit_exceeded.
    """
    reader = PackedReader(read)
    passed: list[bytes] = []
    size = 0
    while (token := reader.next()) is not None:
        for piece in _token(reader, token, prefixes, most):
            if isinstance(piece, bytes):
                passed.append(piece)
                size += len(piece)
            if size >= CHUNK or not isinstance(piece, bytes):
                yield b"".join(passed)
                passed, size = [], 0
            if not isinstance(piece, bytes):
                yield piece
        for _ in reader.closed():
            pass
    yield b"".join(passed)


def _token(
    reader: PackedReader, token: Token, prefixes: StringPrefixes, most: int
) -> Iterator[bytes | StringMatch]:
    level = reader.levels[-1] if reader.levels else None
    if token.kind == "text" and level is not None and level.is_at_key:
        is_short = token.size <= _KEY_BYTES
        level.key = reader.peek(token.size).decode("utf-8", "replace") if is_short else None
    elif token.kind == "text" and _is_wanted(
        prefixes, reader.peek(min(token.size, prefixes.window))
    ):
        key = level.key if level is not None and level.is_map else None
        content = b"".join(reader.content(token.size)) if token.size <= most else None
        text = None if content is None else content.decode("utf-8", "replace")
        yield StringMatch(token.raw + (content or b""), text, key, 1, token.at + 1)
        if content is None:
            yield from reader.content(token.size)
        return
    yield token.raw
    if token.kind in ("text", "binary"):
        yield from reader.content(token.size)


def _is_wanted(prefixes: StringPrefixes, text: bytes) -> bool:
    return prefixes.opens(text) or may_be_json_text(text)
