"""Refs in text, such as the lines of logs: checked, or rewritten where they stand."""

from __future__ import annotations

import codecs
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring_ascii
from urllib.parse import quote

from ..materialize.verification import Verifier
from ..wire.errors import MMRawError
from .counts import Counts, Taker
from .job import Done, Job, OnError, Report, Rewriter, pass_on
from .pool import START_SECONDS, worked
from .reader import BLOCK, Block, LineReader, PlainFile
from .rewriting import counted
from .texts import TextParts, TextRef, find_refs
from .validation import check_one


def check_text(line: bytes, number: int, verifier: Verifier, checked: Taker) -> None:
    """Checks every ref in a line of text, as `find_refs` finds them."""
    text = _decoded(line)
    checked.text_lines += 1
    at, byte = 0, 1
    for found in find_refs(text):
        byte += len(text[at : found.start].encode())
        at = found.start
        checked.add(number, check_one("ref", found.ref, "$", verifier), byte)


def rewrite_prose(
    read: Callable[[int], bytes],
    write: Callable[[bytes], object],
    job: Job,
    *,
    on_error: OnError = "fail",
    processes: int = 1,
    plain: PlainFile | None = None,
    start_seconds: float = START_SECONDS,
) -> Report:
    """Rewrites every ref in a text, as `find_refs` finds them, with the escapes that it has there.

    data: URLs stay. A line beyond 8 MB is rewritten here, part by part.

    Raises:
        MMRawError: invalid_encoding (no UTF-8), decoder_unavailable.
    """
    reader, rewriter = LineReader(read, plain=plain), job.open()
    work = functools.partial(rewrite_text, rewriter=rewriter)
    open_work = functools.partial(_open, job)
    blocks = worked(reader, work, open_work, processes, start_seconds=start_seconds)
    with contextlib.closing(blocks):
        return pass_on(_blocks_done(blocks, reader, rewriter), write, on_error)


def _blocks_done(
    blocks: Iterable[tuple[Block, Done | None]], reader: LineReader, rewriter: Rewriter
) -> Iterator[Done]:
    for block, done in blocks:
        if done is not None:
            yield done
            continue
        reader.unread(block.data, block.line)
        yield from _long_line_done(reader, rewriter)


def _long_line_done(reader: LineReader, rewriter: Rewriter) -> Iterator[Done]:
    parts, line, byte = TextParts(rewriter.most), reader.line, 1
    for part, is_last in _line_in_parts(reader):
        for text, found in parts.take(part, is_last=is_last):
            data = old = text.encode()
            counts = Counts()
            if found is not None:
                place = functools.partial(tuple[int, int], (line, byte))
                new = counted(rewriter, b"", found.ref, None, counts, place)
                data = old if new is None else _spelt(new, found).encode()
                counts.note(rewriter.drain_stats())
            yield Done(data, len(old), len(data), counts)
            byte += len(old)


def _line_in_parts(reader: LineReader) -> Iterator[tuple[str, bool]]:
    """(part, whether it is the last one) of the next line, its end included."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, is_last = reader.line, False
    while not is_last:
        data = reader.read(BLOCK)
        end = data.find(b"\n") + 1
        if end:
            reader.unread(data[end:], line + 1)
            data = data[:end]
        is_last = end > 0 or not data
        yield _decoded(data, functools.partial(decoder.decode, final=is_last)), is_last


def _open(job: Job) -> Callable[[Block], Done]:
    return functools.partial(rewrite_text, rewriter=job.open())


def rewrite_text(block: Block, rewriter: Rewriter) -> Done:
    """Rewrites the refs in a part of a text.

    Raises:
        MMRawError: invalid_encoding.
    """
    text = _decoded(block.data)
    counts = Counts()
    parts: list[str] = []
    given = 0
    for found in find_refs(text):
        place = functools.partial(_place, block, text, found)
        new = counted(rewriter, b"", found.ref, None, counts, place)
        if new is not None:
            parts += (text[given : found.start], _spelt(new, found))
            given = found.end
    counts.note(rewriter.drain_stats())
    data = "".join([*parts, text[given:]]).encode()
    return Done(data, len(block.data), len(data), counts)


def _decoded(data: bytes, decode: Callable[[bytes], str] = bytes.decode) -> str:
    try:
        return decode(data)
    except UnicodeDecodeError:
        pass
    raise MMRawError("invalid_encoding", "the text is not UTF-8")


def _place(block: Block, text: str, found: TextRef) -> tuple[int, int]:
    line = text[found.start - found.column + 1 : found.start]
    return block.line + found.line - 1, len(line.encode()) + 1


def _spelt(ref: str, found: TextRef) -> str:
    for _ in range(found.escapes):
        ref = encode_basestring_ascii(ref)[1:-1]
    for _ in range(found.percent):
        ref = quote(ref, safe="")
    return ref
