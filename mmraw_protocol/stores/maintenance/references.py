"""Finds references in rollout files: refs, envelopes, URLs of the store, and mentions of a name.

A file is read line by line. Where it cannot be read to its end as JSON, or holds a ref that cannot
be read, that is a `Problem`, and nothing may be deleted.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from urllib.parse import unquote

import msgspec

from ...system.descriptors import open_above
from ...system.shown import Shown
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.compression import as_file, documents_in
from ...wire.errors import ErrorCode, MMRawError
from ...wire.msgpack import is_msgpack
from ...wire.msgpack_stream import JsonText
from ...wire.ref import RawMMRef, check_raw_image_id, parse_ref
from ...wire.rows import RowFile, is_table
from .. import AssetStore
from ..urls import find_stored
from .strings import Text, strings_in, strings_in_rows, strings_in_value, strings_of

#: A ref within other text.
_REF = re.compile(r"mmraw:[A-Za-z0-9_.:-]+")
#: Anything that could be a name, anywhere: in a URL, a path, a sentence, JSON within a string.
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: The number of times that a text may have been percent-encoded.
_MOST_UNQUOTED = 4
#: Progress is reported after this many bytes.
_TOLD = 1 << 20


class Problem(Shown, msgspec.Struct, frozen=True):
    """Why a file could not be read whole.

    Attributes:
        file: Its name, as given.
        line: Where, from 1; None if the file itself cannot be read.
        code, message: As in `MMRawError`.
    """

    file: str
    line: int | None
    code: ErrorCode
    message: str


class Mention(Shown, msgspec.Struct, frozen=True):
    """A stored image that a document needs.

    Attributes:
        raw_image_id: The object's name.
        run_id: The run that is named with it; None if there is none.
        mm_hash: The hash that is named with it; None if there is none.
    """

    raw_image_id: str
    run_id: str | None = None
    mm_hash: str | None = None


class References(Shown, msgspec.Struct):
    """The references found in files.

    Attributes:
        mentions: Images that refs, envelopes and URLs of the store name, each with the first place
            (file, line) of it.
        names: Those of the names asked for that occur anywhere.
        refs: Refs that were read, inline ones too.
        silent: Files that were read and hold no reference at all.
        problems: Why something could not be read.
    """

    mentions: dict[Mention, tuple[str, int]] = msgspec.field(
        default_factory=dict[Mention, tuple[str, int]]
    )
    names: set[str] = msgspec.field(default_factory=set[str])
    refs: int = 0
    silent: list[str] = msgspec.field(default_factory=list[str])
    problems: list[Problem] = msgspec.field(default_factory=list[Problem])


def read_references(
    files: Iterable[str | os.PathLike[str]],
    store: AssetStore,
    names: Collection[str] = frozenset(),
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] = lambda count: None,
) -> References:
    """Reads rollout files: JSON, JSON lines, a ref a line, MessagePack, Parquet or Arrow.

    Args:
        files: Their names.
        store: URLs of this store are mentions of its images.
        names: Names to look for in every string, key and word.
        limits: Of refs.
        progress: Told how many bytes were read, over all files.
    """
    found = References()
    reader = _Reader(store, names, limits, found)
    done = 0
    for file in files:
        name = os.fspath(file)
        for count in reader.read(name):
            done += count
            progress(done)
    return found


def references_in(
    texts: Iterable[Text], store: AssetStore, *, limits: Limits = DEFAULT_LIMITS
) -> References:
    """Finds the references in strings; their places have no file.

    Args:
        texts: Strings of documents, and the number of the line or row of each.
        store: URLs of this store are mentions of its images.
        limits: Of refs.
    """
    found = References()
    reader = _Reader(store, (), limits, found)
    for text in texts:
        reader.string(text)
    return found


class _Reader:
    def __init__(
        self, store: AssetStore, names: Collection[str], limits: Limits, found: References
    ) -> None:
        self._store = store
        self._names = frozenset(names)
        self._limits = limits
        self._found = found
        self._file = ""
        self._is_named = False

    def read(self, name: str) -> Iterator[int]:
        """Reads one file; gives how many bytes were read since the last time."""
        self._file = name
        stream = _open_regular(name)
        if stream is None:
            self._problem(None, "source_unavailable", "no readable regular file")
            return
        with stream:
            before = os.fstat(stream.fileno())
            failed: MMRawError | None = None
            refs, problems = self._found.refs, len(self._found.problems)
            self._is_named = False
            try:
                yield from self._scan(stream, before.st_size)
            except MMRawError as error:
                failed = error
            except OSError:
                failed = MMRawError("source_unavailable", "the file could not be read to its end")
            if failed is not None:
                self._problem(None, failed.code, failed.message)
            elif _changed(before, name):
                self._problem(None, "source_unavailable", "the file changed while it was read")
            elif not self._is_named and (refs, problems) == (
                self._found.refs,
                len(self._found.problems),
            ):
                self._found.silent.append(name)

    def _scan(self, stream: BufferedReader, left: int) -> Iterator[int]:
        """Reads as many bytes as the file had: one that a run appends to may have no end."""
        before = left
        if is_table(stream.peek(4)[:4]):
            for found in strings_in_rows(RowFile(stream)):
                self.string(found)
            yield left
            return

        def read_file(size: int) -> bytes:
            nonlocal left
            data = stream.read(min(size, left))
            left -= len(data)
            return data

        text = as_file(documents_in(read_file)[0])
        # A name may also be in binary data.
        is_packed = is_msgpack(text.peek(1)[:1])
        packed = JsonText(text.read, with_binary=True) if is_packed else None
        read_line = text.readline if packed is None else packed.readline
        for found in strings_in(read_line):
            self.string(found)
            if before - left >= _TOLD:
                yield before - left
                before = left
        yield before - left

    def string(self, found: Text) -> None:
        """Records the references of a string."""
        text = found.text
        if text.startswith("data:"):
            return
        if text.startswith("mmraw:"):
            self._ref(text, found.line, whole=True)
            return
        if found.key in ("raw_image_id", "raw_image_uri"):
            self._mention(text.rpartition("/")[2], None, None, found.line)
        # As written, and as a URL or within one: either may be meant.
        for spelling in _spellings(text):
            if "mmraw:" in spelling:
                for match in _REF.finditer(spelling):
                    whole = match.group() == spelling
                    self._ref(match.group().rstrip(".:-"), found.line, whole=whole)
            stored = find_stored(self._store, spelling)
            if stored is not None:
                self._mention(stored.raw_image_id, stored.run_id, None, found.line)
            if self._names:
                for word in _WORD.findall(spelling):
                    self._word(word)
            if "\\" in spelling:
                # JSON within a string: its escapes hide names from the search for words.
                for inner in strings_of(spelling, found.line):
                    self.string(inner)

    def _ref(self, text: str, line: int, *, whole: bool) -> None:
        ref: RawMMRef | None = None
        failed: MMRawError | None = None
        try:
            ref = parse_ref(text, limits=self._limits)
        except MMRawError as error:
            failed = error
        if ref is not None:
            self._found.refs += 1
            name = ref.stored_name
            if name is not None:
                self._mention(name, ref.run_id, ref.mm_hash, line)
            # The payload of a family that is not built in may name other images.
            for inner in strings_in_value(ref.payload, line):
                self.string(inner)
        elif whole and failed is not None:
            # In the middle of a sentence it may be talk about refs; as a whole string it is one.
            self._problem(line, failed.code, f"a ref that cannot be read: {failed.message}")

    def _mention(self, name: str, run_id: str | None, mm_hash: str | None, line: int) -> None:
        try:
            check_raw_image_id(name)
        except MMRawError:
            return
        self._is_named = True
        mention = Mention(name, run_id, mm_hash)
        self._found.mentions.setdefault(mention, (self._file, line))
        if name in self._names:
            self._found.names.add(name)

    def _word(self, word: str) -> None:
        if word not in self._names:
            word = word.rstrip(".-")
        if word in self._names:
            self._is_named = True
            self._found.names.add(word)

    def _problem(self, line: int | None, code: ErrorCode, message: str) -> None:
        self._found.problems.append(Problem(self._file, line, code, message[:200]))


def _spellings(text: str) -> Iterator[str]:
    """A text, and its percent-decoded forms, as often as it was encoded."""
    for _ in range(_MOST_UNQUOTED):
        yield text
        decoded = unquote(text) if "%" in text else text
        if decoded == text:
            return
        text = decoded


def _open_regular(name: str) -> BufferedReader | None:
    """A regular file; never a wait for a FIFO."""
    try:
        descriptor = open_above(name, os.O_RDONLY | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
    except (OSError, ValueError):
        pass
    return None


def _changed(before: os.stat_result, name: str) -> bool:
    """True if another process wrote to the file, or put another in its place, meanwhile."""
    try:
        now = Path(name).stat()
    except OSError:
        return True
    return (before.st_size, before.st_mtime_ns, before.st_ino) != (
        now.st_size,
        now.st_mtime_ns,
        now.st_ino,
    )
