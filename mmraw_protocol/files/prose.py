"""Refs in text, such as the lines of logs: checked, or rewritten where they stand."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from urllib.parse import quote

from ..materialize.verification import Verifier
from ..wire.errors import MMRawError
from .counts import Counts, Taker
from .job import Done, Job, OnError, Report, Rewriter, pass_on
from .pool import START_SECONDS, worked
from .reader import Block, LineReader, PlainFile
from .rewriting import counted
from .texts import TextRef, find_refs
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

    Lines beyond 8 MB are not read. data: URLs stay.

    Raises:
        MMRawError: invalid_encoding (no UTF-8), limit_exceeded (such a line), decoder_unavailable.
    """
    reader, open_work = LineReader(read, plain=plain), functools.partial(_open, job)
    blocks = worked(reader, open_work(), open_work, processes, start_seconds=start_seconds)
    with contextlib.closing(blocks):
        return pass_on(map(_done, blocks), write, on_error)


def _done(worked_on: tuple[Block, Done | None]) -> Done:
    block, done = worked_on
    if done is None:
        message = f"expected lines of at most 8 MB, got a longer one: line {block.line}"
        raise MMRawError("limit_exceeded", message)
    return done


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


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
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
