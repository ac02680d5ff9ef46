"""Rewriting strings inside documents of any size; every other byte stays as it is."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring_ascii

import msgspec

from ..wire.errors import MMRawError
from ..wire.msgpack import is_msgpack
from ..wire.ref import PREFIX
from .counts import Counts
from .job import Done, Job, OnError, Report, Rewriter, pass_on
from .lines import (
    REF_VALUE,
    are_documents,
    is_document,
    key_of,
    place_of,
    strings_in,
    text_of,
)
from .nested import Positions, escaped
from .packed import packed_pieces
from .pool import START_SECONDS, worked
from .reader import BLOCK, Block, LineReader, PlainFile
from .scan_patterns import decode_string
from .scanner import Scanner, StringMatch

#: Bytes of the shortest block of lines where strings grow, as those of images do.
_SHORTEST = 1 << 12
#: How often a block's bytes may be in what becomes of it.
_GROWTH = 2


def rewrite(
    read: Callable[[int], bytes],
    write: Callable[[bytes], object],
    job: Job,
    *,
    on_error: OnError = "fail",
    processes: int = 1,
    block: int = BLOCK,
    plain: PlainFile | None = None,
    start_seconds: float = START_SECONDS,
) -> Report:
    """Rewrites the strings of JSON documents: one of any size, or many, each on its own lines.

    A file that begins as MessagePack is read as that, by this process alone; a refusal's line is 1.

    Args:
        read: Gives up to so many bytes, and none at the end.
        write: Takes the bytes of the output, in order.
        job: What to do with which strings.
        on_error: `fail` stops behind the part of the file with the first refused string (the report
            is not `complete`); `keep` leaves it as it is.
        processes: Workers that share the blocks of a file of lines, if more than one; the output's
            order is the input's. Documents that span lines, and very long lines, are scanned here.
        block: Bytes of a block of lines, at most.
        plain: The file that `read` reads, which spares passing its bytes on; None if it is none.
        start_seconds: Workers start where this process alone is not done so soon.

    Raises:
        MMRawError: invalid_json, invalid_encoding, invalid_msgpack, limit_exceeded: the documents
            themselves cannot be read; the message names the place.
    """
    reader = LineReader(read, block=min(block, _SHORTEST), plain=plain)
    rewriter = job.open()
    first = reader.read(1)
    reader.unread(first, 1)
    if is_msgpack(first):
        pieces = packed_pieces(reader.read, rewriter.prefixes, most=rewriter.most)
        return pass_on(_pieces_done(pieces, rewriter, _packed), write, on_error)
    work = functools.partial(rewrite_block, rewriter=rewriter)
    open_work = functools.partial(_open_work, job)
    blocks = worked(reader, work, open_work, processes, start_seconds=start_seconds)
    with contextlib.closing(blocks):
        return pass_on(_blocks_done(blocks, reader, rewriter, block), write, on_error)


#: Start, end and new bytes of a string that changes.
Edit = tuple[int, int, bytes]


def _blocks_done(
    blocks: Iterable[tuple[Block, Done | None]],
    reader: LineReader,
    rewriter: Rewriter,
    most: int,
) -> Iterator[Done]:
    for block, done in blocks:
        if done is not None:
            yield done
            size = _GROWTH * most * done.size // max(done.new_size, 1)
            reader.block = min(most, max(size, _SHORTEST))
            continue
        reader.unread(block.data, block.line)
        scanner = Scanner(reader.read, rewriter.prefixes, most=rewriter.most, line=block.line)
        pieces = scanner.pieces(at_least=len(block.data))
        yield from _pieces_done(pieces, rewriter, _spelt)
        reader.unread(scanner.rest, scanner.line)


def _pieces_done(
    pieces: Iterable[bytes | StringMatch], rewriter: Rewriter, spelt: Callable[[str, bool], bytes]
) -> Iterator[Done]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield Done(piece, len(piece), len(piece))
            continue
        counts = Counts()
        data = _replaced(piece, rewriter, counts, spelt)
        counts.note(rewriter.drain_stats())
        yield Done(data, len(piece.raw), len(data), counts)


def rewrite_block(block: Block, rewriter: Rewriter) -> Done | None:
    """The rewritten block; None where it is not plainly one document a line."""
    prefixes = rewriter.prefixes
    data, counts = block.data, Counts()
    if not block.whole:
        return None
    done = _refs_rewritten(block, rewriter)
    if done is not None:
        return done
    if not are_documents(data, prefixes):
        return None
    new = _edited(data, _edits(data, functools.partial(_place, block), rewriter, counts))
    counts.note(rewriter.drain_stats())
    return Done(new, len(data), len(new), counts)


def _refs_rewritten(block: Block, rewriter: Rewriter) -> Done | None:
    """A block in which refs without escapes are all that is wanted, its refs rewritten together.

    None where that is not so, and where the rewriter takes refs one by one.
    """
    together = getattr(rewriter, "rewrite_together", None)
    if together is None or b"\\" in block.data:
        return None
    pieces = REF_VALUE.split(block.data)
    old = pieces[1::2]
    rest = b'"-"'.join(pieces[::2])
    others = any(prefix in rest for prefix in rewriter.prefixes.bare)
    if not old or others or rest.count(b"\n") != block.data.count(b"\n"):
        return None
    if max(map(len, old)) > rewriter.most // 2 or not are_documents(rest, rewriter.prefixes):
        return None
    counts = Counts()
    new = together(old)
    for index, tail in enumerate(new):
        if tail is None:
            text = PREFIX + old[index].decode("latin-1")
            if not (text.isascii() and text.isprintable()):
                return None
            made = _answer(rewriter, b"", text, None)
            if isinstance(made, MMRawError):
                counts.refuse(made, functools.partial(_place_of_ref, block, pieces, index))
                made = text
            new[index] = _spelt(made, False)[1 + len(PREFIX) : -1]
    changed = sum(map(operator.ne, old, new))
    counts.count("changed", changed)
    counts.count("unchanged", len(old) - changed - sum(counts.refused.values()))
    pieces[1::2] = [b'"%b%b"' % (PREFIX.encode(), tail) for tail in new]
    data = b"".join(pieces)
    return Done(data, len(block.data), len(data), counts)


def _place_of_ref(block: Block, pieces: list[bytes], index: int) -> tuple[int, int]:
    start = sum(map(len, pieces[: 2 * index + 1])) + index * len(f'"{PREFIX}"')
    return _place(block, start)


def _place(block: Block, start: int) -> tuple[int, int]:
    return place_of(block.data, start, block.line)


def _edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes with what changes; the very same ones where nothing does."""
    parts: list[bytes] = []
    given = 0
    for start, end, new in edits:
        parts += (data[given:start], new)
        given = end
    return b"".join([*parts, data[given:]]) if parts else data


def _edits(
    data: bytes, place: Callable[[int], tuple[int, int]], rewriter: Rewriter, counts: Counts
) -> Iterator[Edit]:
    """Rewrites the strings of documents, and those of JSON in strings."""
    prefixes = rewriter.prefixes
    for start, end, bare in strings_in(data, prefixes):
        raw = data[start:end]
        if not bare and prefixes.may_be_json(raw):
            yield from _edits_within(raw, start, place, rewriter, counts)
            continue
        key = key_of(data, start) if prefixes.keys else None
        text = text_of(raw, bare)
        new = counted(rewriter, raw, text, key, counts, functools.partial(place, start))
        if new is not None and bare:
            yield start, end, _spelt(new, True)
        elif new is not None:
            # The quotes stay: in a string they may be escapes.
            yield start + 1, end - 1, _spelt(new, False)[1:-1]


def _edits_within(
    raw: bytes,
    start: int,
    place: Callable[[int], tuple[int, int]],
    rewriter: Rewriter,
    counts: Counts,
) -> Iterator[Edit]:
    """Rewrites JSON that a string holds, if it is JSON."""
    if not rewriter.prefixes.may_be_in(raw):
        return
    said = text_of(raw, False).encode("utf-8", "surrogatepass")
    if not is_document(said):
        return
    positions = Positions(raw)
    for first, end, new in _edits(said, lambda at: place(start + positions(at)), rewriter, counts):
        yield start + positions(first), start + positions(end), escaped(new)


def counted(
    rewriter: Rewriter,
    raw: bytes,
    text: str | None,
    key: str | None,
    counts: Counts,
    place: Callable[[], tuple[int, int]],
) -> str | None:
    """The new text of a string; None where it stays, or is refused."""
    new = _answer(rewriter, raw, text, key)
    if isinstance(new, MMRawError):
        counts.refuse(new, place)
        return None
    counts.count("unchanged" if new == text else "changed")
    return None if new == text else new


def _answer(rewriter: Rewriter, raw: bytes, text: str | None, key: str | None) -> str | MMRawError:
    """The new text, or why the string is refused."""
    if text is None or len(raw) > rewriter.most:
        return MMRawError("limit_exceeded", "expected a string within its limits, got a longer one")
    try:
        return rewriter.rewrite(text, key)
    except MMRawError as error:
        return error


def _spelt(text: str, bare: bool) -> bytes:
    return text.encode("utf-8") if bare else encode_basestring_ascii(text).encode("ascii")


def _packed(text: str, bare: bool) -> bytes:
    return msgspec.msgpack.encode(text)


def _replaced(
    found: StringMatch, rewriter: Rewriter, counts: Counts, spelt: Callable[[str, bool], bytes]
) -> bytes:
    """The bytes in the output of a string that the scanner found."""
    text, is_packed = found.text, spelt is _packed
    quoted = _spelt(text, False) if is_packed and text is not None else found.raw

    def place(at: int = 0) -> tuple[int, int]:
        return found.line, found.column + (0 if is_packed else at)

    if text is not None and not found.bare and rewriter.prefixes.may_be_json(quoted):
        within = _edited(quoted, _edits_within(quoted, 0, place, rewriter, counts))
        if within is quoted:
            return found.raw
        return spelt(decode_string(within), False) if is_packed else within
    new = counted(rewriter, found.raw, text, found.key, counts, place)
    return found.raw if new is None else spelt(new, found.bare)


def _open_work(job: Job) -> Callable[[Block], Done | None]:
    return functools.partial(rewrite_block, rewriter=job.open())
