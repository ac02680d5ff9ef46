"""Every ref, envelope and features body in files of any size, checked in bounded memory."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..materialize.verification import Verifier
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.json import parse_json, parse_json_rows
from ..wire.msgpack_stream import JsonText
from ..wire.ref import PREFIXES
from .counts import Counts, Taker
from .lines import is_document, is_text, opens_json
from .moving_images import most_ref_bytes
from .pool import START_SECONDS, worked
from .prefixes import StringPrefixes
from .prose import check_text
from .reader import BLOCK, LONGEST_LINE, Block, LineReader, PlainFile
from .scanner import Scanner
from .validation import (
    Finding,
    Kind,
    check_document,
    check_one,
    check_value,
    is_conversation,
    refs_alone,
    refs_in_row,
    verifier_with,
)

if TYPE_CHECKING:
    from .objects import ObjectScanner

#: Lines that are read together where something else than refs is in some of a block.
_TOGETHER = 16
#: Bytes of lines that are checked at once: they fit the processor's cache.
OWN_BLOCK = 1 << 16

#: How lists of scalars or empty lists begin, as documents over many lines do.
_OPENS_LIST = re.compile(rb"\[[\[\s]*(?:\]|(?:[0-9.eE+-]+|true|false|null)\s*(?:,|$))")
_string = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def check(
    read: Callable[[int], bytes],
    *,
    processes: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    verifier: Verifier | None = None,
    block: int | None = None,
    plain: PlainFile | None = None,
    start_seconds: float = START_SECONDS,
) -> Counts:
    """Checks a file: documents that stand on a line each, or one document over many lines.

    A file that begins as MessagePack is checked as the lines of JSON that say the same.

    A line that is no document is a refusal of its own, and the next one is read. A line of up to
    8 MB that neither begins as an object or a list nor ends an object is text: refs in it are
    found, as they are in strings of JSON. Documents of up to 8 MB keep every rule of the protocol's
    JSON; in longer ones, which are scanned as they stream by, the rules hold within refs,
    envelopes, features bodies and conversations, and paths begin there.

    Args:
        read: Gives up to so many bytes, and none at the end.
        processes: Workers that share the lines, if more than one.
        limits: Of refs, envelopes and features.
        verifier: What refs are verified with, and its limits; None verifies what needs no store.
        block: Bytes of lines that are taken at once; None is what suits the number of processes.
        plain: The file that `read` reads, which spares passing its bytes on; None if it is none.
        start_seconds: Workers start where this process alone is not done so soon.

    Raises:
        MMRawError: decoder_unavailable, where a worker does not start or ends early.
    """
    text = JsonText(read)
    size = block or (BLOCK if processes > 1 else OWN_BLOCK)
    reader = LineReader(text.read, block=size, plain=plain)
    checked = Counts()
    failed: MMRawError | None = None
    try:
        first = reader.next_block()
        if first is None:
            return checked
        reader.unread(first.data, first.line)
        if text.was_packed:
            reader.plain = None
        verifier = verifier or verifier_with(limits)
        if is_part_of_a_document(first):
            _check_whole(reader, checked, verifier)
        else:
            _check_blocks(reader, checked, verifier, processes, start_seconds)
    except MMRawError as error:
        # An error of the reader, unlike one in a line, ends the input.
        failed = error
    if failed is not None:
        if not text.was_packed:
            raise failed
        checked.add(reader.line, Finding("document", failed))
    return checked


def _check_blocks(
    reader: LineReader, checked: Counts, verifier: Verifier, processes: int, start_seconds: float
) -> None:
    open_check = functools.partial(_open_check, verifier)
    blocks = worked(reader, open_check(), open_check, processes, start_seconds=start_seconds)
    with contextlib.closing(blocks):
        for block, found in blocks:
            checked.merge(_check_long_line(block, reader, verifier) if found is None else found)


def is_part_of_a_document(block: Block) -> bool:
    """Whether the first line opens brackets that it does not close, as pretty-printed JSON does."""
    text = block.data.lstrip()
    line = text.partition(b"\n")[0]
    if not block.whole or not (opens_json(line) or _OPENS_LIST.match(line)):
        return False
    bare = _string.sub(b"", line)
    return bare.count(b"{") + bare.count(b"[") > bare.count(b"}") + bare.count(b"]")


def _check_whole(reader: LineReader, checked: Counts, verifier: Verifier) -> None:
    """One document over many lines: at once where it is short, else as it streams by."""
    parts: list[bytes] = []
    size = 0
    while size <= LONGEST_LINE and (data := reader.read(BLOCK)):
        parts.append(data)
        size += len(data)
    data = b"".join(parts)
    if size <= LONGEST_LINE:
        for line, document in documents_in_text(data):
            _check_lines_of(document, line, checked, verifier)
        return
    reader.unread(data, 1)
    for line, finding in check_stream(reader.read, verifier=verifier):
        checked.add(line, finding)


def documents_in_text(data: bytes) -> list[tuple[int, bytes]]:
    """(line, text) of documents one behind the other; one with a fault reaches to the end."""
    if is_document(data):
        return [(1, data)]
    found: list[tuple[int, bytes]] = []
    start, line = 0, 1
    scanner = Scanner(io.BytesIO(data).read, StringPrefixes(PREFIXES), most=len(data))
    with contextlib.suppress(MMRawError):
        while start < len(data):
            for _ in scanner.pieces(at_least=start + 1):
                pass
            found.append((line, data[start : scanner.offset]))
            start, line = scanner.offset, scanner.line
    found.append((line, data[start:]))
    return [one for one in found if one[1].strip()]


def _check_lines_of(document: bytes, first: int, checked: Counts, verifier: Verifier) -> None:
    """Checks a document over many lines, which begin at `first`."""
    findings = list(check_document(document, verifier=verifier))
    lines: list[int] = []
    if any(finding.error for finding in findings):
        stream = check_stream(io.BytesIO(document).read, verifier=verifier, line=first)
        lines = [line for line, _ in stream]
        if findings[0].kind == "document":
            lines = lines[-1:]
    if len(lines) != len(findings):
        lines = [first] * len(findings)
    for line, finding in zip(lines, findings, strict=True):
        checked.add(line, finding)


def _check_long_line(block: Block, reader: LineReader, verifier: Verifier) -> Counts:
    """One line as it streams by; the first one with what follows, if that is one document."""
    checked = Counts()
    reader.unread(block.data, block.line)
    line = _Line(reader)
    scanner = _scanner(line.read, verifier, block.line)
    line.goes_on = lambda: block.at == 0 and scanner.is_between
    for number, finding in _findings(scanner, verifier):
        checked.add(number, finding)
    line.skip()
    reader.unread(line.rest, block.line + 1)
    return checked


def check_lines(block: Block, verifier: Verifier) -> Counts:
    """Every line of a block as a document of its own, or as text where it is none."""
    checked = Counts()
    for part in _parts(block):
        take_lines(part, verifier, checked)
    return checked


def _parts(block: Block) -> Iterator[Block]:
    """Whole lines that fit the processor's cache."""
    start, line = 0, block.line
    while start < len(block.data):
        end = block.data.find(b"\n", start + OWN_BLOCK) + 1 or len(block.data)
        data = block.data[start:end]
        yield Block(data, line, block.whole)
        start, line = end, line + data.count(b"\n")


def take_lines(block: Block, verifier: Verifier, checked: Taker) -> None:
    """The same, for somebody who counts otherwise."""
    refs = refs_alone(block.data)
    if refs is not None and not (refs and verifier.doubtful(refs)):
        checked.count("ref", len(refs))
        return
    lines = [
        (number, line)
        for number, line in enumerate(block.data.split(b"\n"), block.line)
        if line and not line.isspace()
    ]
    for first in range(0, len(lines), _TOGETHER):
        _check_together(lines[first : first + _TOGETHER], verifier, checked)


def _check_together(lines: list[tuple[int, bytes]], verifier: Verifier, checked: Taker) -> None:
    """Checks lines: those in which nothing but right refs are, and then the others one by one."""
    stripped = [line.strip() for _, line in lines]
    data = b"\n".join(stripped)
    refs = refs_alone(data)
    doubtful = verifier.doubtful(refs) if refs else frozenset[bytes]()
    rows = parse_json_rows(data) if refs is None or doubtful else None
    for index, ((number, whole), line) in enumerate(zip(lines, stripped, strict=True)):
        own = None if refs is None else refs_in_row(line)
        if own is not None and doubtful.isdisjoint(own):
            checked.count("ref", len(own))
            continue
        if rows is None and is_text(line):
            check_text(whole, number, verifier, checked)
            continue
        if rows is None:
            findings = check_document(line, verifier=verifier)
        else:
            findings = check_value(rows[index], verifier=verifier)
        for finding in findings:
            checked.add(number, finding)


class _Line:
    """The rest of one line as a stream.

    Attributes:
        goes_on: Asked at its end; if so, all that is behind it belongs to it, too.
        rest: Bytes that were read behind the line.
    """

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._ended = False
        self._is_all = False
        self.goes_on: Callable[[], bool] = lambda: False
        self.rest = b""

    def read(self, size: int) -> bytes:
        if not self._ended:
            data = self._reader.read(size)
            end = -1 if self._is_all else data.find(b"\n")
            self._ended = end >= 0 or not data
            if end < 0:
                return data
            data, self.rest = data[:end], data[end + 1 :]
            if data:
                return data
        if self._is_all or not self.goes_on():
            return b""
        self._ended, self._is_all = False, True
        data, self.rest = b"\n" + self.rest, b""
        return data

    def skip(self) -> None:
        """Passes over what was not read: a refused line ends where the next one begins."""
        while not self._ended:
            self.read(BLOCK)


def _open_check(verifier: Verifier) -> Callable[[Block], Counts]:
    return functools.partial(check_lines, verifier=verifier)


def check_stream(
    read: Callable[[int], bytes],
    *,
    limits: Limits = DEFAULT_LIMITS,
    verifier: Verifier | None = None,
    line: int = 1,
) -> Iterator[tuple[int, Finding]]:
    """(line, finding) of everything in documents that stream by.

    An envelope, a features body, content parts, mm_refs and conversations are gathered whole, up to
    their limits; refs inside belong to the first four.
    """
    verifier = verifier or verifier_with(limits)
    return _findings(_scanner(read, verifier, line), verifier)


def _scanner(read: Callable[[int], bytes], verifier: Verifier, line: int) -> ObjectScanner:
    from .objects import ObjectScanner

    limits = verifier.limits
    most = most_ref_bytes(limits)
    return ObjectScanner(read, most=most, most_object=limits.features_bytes, line=line)


def _findings(scanner: ObjectScanner, verifier: Verifier) -> Iterator[tuple[int, Finding]]:
    # Findings wait here while an object around them may turn out to be what they belong to.
    waiting: list[tuple[int, int, Finding]] = []
    failed: MMRawError | None = None
    try:
        for piece in scanner.pieces():
            _gather(scanner, waiting, verifier)
            if not isinstance(piece, bytes):
                start = scanner.offset - len(piece.raw)
                found = [] if scanner.note(piece) else [_check_ref(piece.text, verifier)]
                # A string that is no ref may hold JSON.
                found = found or check_value(piece.text, verifier=verifier)
                waiting += [(start, piece.line, one) for one in found]
            if waiting and not scanner.may_be_inside:
                yield from ((number, finding) for _, number, finding in waiting)
                waiting.clear()
    except MMRawError as error:
        failed = error
    _gather(scanner, waiting, verifier)
    yield from ((number, finding) for _, number, finding in waiting)
    if failed is not None:
        yield scanner.line, Finding("document", failed)


def _gather(
    scanner: ObjectScanner, waiting: list[tuple[int, int, Finding]], verifier: Verifier
) -> None:
    for one, kind, raw in scanner.take_closed():
        # The values in a conversation are checked by themselves, too.
        while kind != "messages" and waiting and waiting[-1][0] > one.start:
            waiting.pop()
        finding = _check_gathered(kind, raw, verifier)
        if finding is not None:
            waiting.append((one.start, one.line, finding))


def _check_ref(text: str | None, verifier: Verifier) -> Finding:
    if text is None:
        message = "expected a ref within its limits, got a longer string"
        return Finding("ref", MMRawError("limit_exceeded", message))
    return check_one("ref", text, "$", verifier)


def _check_gathered(kind: Kind, raw: bytes | None, verifier: Verifier) -> Finding | None:
    if raw is None:
        message = "expected at most 256 MiB in one document, got more"
        return Finding(kind, MMRawError("limit_exceeded", message))
    return (
        _check_messages(raw, verifier)
        if kind == "messages"
        else check_one(kind, raw, "$", verifier)
    )


def _check_messages(raw: bytes, verifier: Verifier) -> Finding | None:
    """Checks a conversation, or a row that seems to have one; None where it has none."""
    failed: MMRawError | None = None
    try:
        document = parse_json(raw)
    except MMRawError as error:
        failed = error
    else:
        is_found = is_conversation(document)
        return check_one("messages", document, "$", verifier) if is_found else None
    return Finding("messages", failed)
