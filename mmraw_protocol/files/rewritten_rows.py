"""The strings of Arrow batches, rewritten: what `rewrite_batch` does with results that are open."""

from __future__ import annotations

import io
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from ..stores.maintenance.row_values import arrow, as_bytes, is_text, types
from ..wire.errors import MMRawError
from ..wire.ref import PREFIX
from .columns import Place, array_of_lines, joined_lines, rewritten, rows_in
from .counts import Counts
from .job import Done, Rewriter
from .prefixes import may_be_json_text
from .prose import rewrite_text
from .reader import Block
from .results import Names, Results
from .rewriting import counted, rewrite, rewrite_block
from .texts import may_hold_ref

#: Values, and bytes of values, that are rewritten together: what one ref taught is used for the
#: next. Where one stands in the way, it is looked for in so many parts.
_MANY = 1024
_MANY_BYTES = 1 << 20
_SPLIT = 16
#: Bytes of a text that may be in many rows.
_SHORT = 64
_REF = PREFIX.encode()


def rewrite_rows(
    batch: Any, rewriter: Rewriter, results: Results, documents: Names = (), *, text: bool = False
) -> Any:
    """The rows that `rewrite_batch` gives, with a rewriter and results that are open."""
    given: list[Any] = batch.columns
    columns: list[Any] = []
    for name, array in zip(batch.schema.names, given, strict=True):
        rewriting = _Rewriting(rewriter, results, name in documents, text)
        columns.append(rewriting.column(array, name))
    if all(new is old for new, old in zip(columns, given, strict=True)):
        return batch
    return arrow.RecordBatch.from_arrays(columns, schema=batch.schema)


class _Rewriting:
    """One column, its values and those of its fields on their way; a job that is open already."""

    def __init__(
        self, rewriter: Rewriter, results: Results, is_document: bool, is_text: bool
    ) -> None:
        self._rewriter, self._results = rewriter, results
        self._is_document, self._is_text = is_document, is_text

    def open(self) -> Rewriter:
        """The rewriter."""
        return self._rewriter

    def column(self, array: Any, name: str) -> Any:
        """The new array; the same where nothing changes."""
        if self._is_document and not self._is_text and _has_plain_lines(array):
            return self._joined(array, name)
        return array if self._passes(array) else rewritten(array, self.texts, name)

    def _passes(self, array: Any) -> bool:
        """Whether the values of a dictionary, which are fewer than its rows, are not wanted."""
        kind = array.type
        if self._is_document or not (types.is_dictionary(kind) and is_text(kind)):
            return False
        values = array.dictionary
        return len(values) <= len(array) and not any(map(self._is_wanted, as_bytes(values)))

    def _joined(self, array: Any, column: str) -> Any:
        """Documents that are bytes: joined and parted again without an object for each."""
        most = min(_MANY, rows_in(array, _MANY_BYTES))
        parts: list[Any] = []
        for index, data in enumerate(joined_lines(array, most)):
            part, first = array.slice(index * most, most), index * most
            done = self._lines_done(data, len(part))
            if done is None:
                texts = as_bytes(part)
                at = [number for number, text in enumerate(texts) if text]
                self._fewer(texts, at, column, lambda row, first=first: (first + row, "$"))
                part = arrow.array(texts, array.type)
            else:
                self._note(done.counts, column, lambda line, first=first: (first + line - 1, "$"))
                part = part if done.data == data else array_of_lines(done.data)
            parts.append(part)
        new = arrow.concat_arrays(parts)
        return array if new.equals(array) else new

    def _is_wanted(self, value: bytes | None) -> bool:
        if self._is_text:
            return bool(value) and may_hold_ref(value)
        prefixes = self._rewriter.prefixes
        return bool(value) and (may_be_json_text(value) or prefixes.opens(value[: prefixes.window]))

    def texts(
        self, values: Sequence[bytes | None], column: str, key: str, place: Place
    ) -> Sequence[bytes | None]:
        """The new texts; those with which nothing happens are the same."""
        new = list(values)
        if self._is_text:
            for index in [n for n, value in enumerate(values) if self._is_wanted(value)]:
                self._within_text(new, index, column, place)
            return values if new == values else new
        if self._is_document:
            self._lines(new, [n for n, value in enumerate(values) if value], column, place)
            return values if new == values else new
        prefixes = self._rewriter.prefixes
        lines: list[int] = []
        # Columns often say the same in row after row.
        passed: set[bytes | None] = {None, b""}
        for index in self._together(new, column, key, place):
            value = values[index]
            if value in passed or value is None:
                continue
            if may_be_json_text(value):
                lines.append(index)
            elif prefixes.opens(value[: prefixes.window]):
                self._alone(new, index, column, key, place)
            elif len(value) < _SHORT and len(passed) < _MANY:
                passed.add(value)
        self._lines(new, lines, column, place)
        return values if new == values else new

    def _together(
        self, values: list[bytes | None], column: str, key: str, place: Place
    ) -> Sequence[int]:
        """Rewrites refs, if they are taken together; gives the numbers of all other values."""
        together = getattr(self._rewriter, "rewrite_together", None)
        at: list[int] = []
        others: list[int] = []
        most = 0 if together is None else self._rewriter.most
        for index, value in enumerate(values):
            is_ref = value is not None and value.startswith(_REF) and len(value) < most
            (at if is_ref else others).append(index)
        for first in range(0, len(at), _MANY):
            part = at[first : first + _MANY]
            tails = [cast(bytes, values[index])[len(_REF) :] for index in part]
            new: list[bytes | None] = cast(Any, together)(tails)
            for index, tail in zip(part, new, strict=True):
                if tail is None:
                    self._alone(values, index, column, key, place)
                else:
                    values[index] = _REF + tail
            unchanged = sum(map(operator.eq, tails, new))
            self._results.count("unchanged", unchanged)
            self._results.count("changed", len(part) - unchanged - new.count(None))
        return others

    def _alone(
        self, values: list[bytes | None], index: int, column: str, key: str, place: Place
    ) -> None:
        counts = Counts()
        values[index] = self._whole(cast(bytes, values[index]), key, counts)
        self._note(counts, column, lambda line: place(index))

    def _within_text(
        self, values: list[bytes | None], index: int, column: str, place: Place
    ) -> None:
        counts = Counts()
        try:
            done = rewrite_text(Block(cast(bytes, values[index]), 1, True), self._rewriter)
            values[index], counts = done.data, done.counts
        except MMRawError as error:
            # Other columns may hold bytes that are no text.
            if self._is_document:
                counts.refuse(error, lambda: (1, 1))
        self._note(counts, column, lambda line: place(index))

    def _whole(self, value: bytes, key: str, counts: Counts) -> bytes:
        """A value that is a wanted string as it stands."""
        text = value.decode("utf-8", "replace")
        new = counted(self._rewriter, value, text, key, counts, lambda: (1, 1))
        counts.note(self._rewriter.drain_stats())
        return value if new is None else new.encode()

    def _lines(self, new: list[bytes | None], at: Sequence[int], column: str, place: Place) -> None:
        """Values that are JSON, some together."""
        size = sum([len(cast(bytes, new[index])) for index in at])
        some = max(1, min(_MANY, _MANY_BYTES * len(at) // max(size, 1)))
        for first in range(0, len(at), some):
            self._some_lines(new, at[first : first + some], column, place)

    def _some_lines(
        self, new: list[bytes | None], at: Sequence[int], column: str, place: Place
    ) -> None:
        """Values that are JSON, together where that can be."""
        joined = b"\n".join([cast(bytes, new[index]) for index in at])
        done = self._lines_done(joined, len(at))
        if len(at) > 1:
            if done is None:
                self._fewer(new, at, column, place)
            else:
                for index, text in zip(at, done.data.split(b"\n"), strict=True):
                    new[index] = text
                self._note(done.counts, column, lambda line: place(at[line - 1]))
            return
        counts = Counts() if done is None else done.counts
        new[at[0]] = self._scanned(joined, counts) if done is None else done.data
        self._note(counts, column, lambda line: place(at[0]))

    def _fewer(self, new: list[bytes | None], at: Sequence[int], column: str, place: Place) -> None:
        fewer = -(-len(at) // _SPLIT)
        for first in range(0, len(at), fewer):
            self._some_lines(new, at[first : first + fewer], column, place)

    def _lines_done(self, joined: bytes, number: int) -> Done | None:
        """Lines that are rewritten together.

        None where one is no JSON or spans lines, or where they have more refusals than are named.
        """
        if joined.count(b"\n") != number - 1:
            return None
        done = rewrite_block(Block(joined, 1, True), self._rewriter)
        if done is None or (number > 1 and not _is_told(done.counts)):
            return None
        return done

    def _scanned(self, value: bytes, counts: Counts) -> bytes:
        """A document over many lines; what is no document stays as it is."""
        parts: list[bytes] = []
        try:
            source = io.BytesIO(value).read
            report = rewrite(source, parts.append, self, on_error="keep")
            counts.merge(report)
            return b"".join(parts)
        except MMRawError as error:
            if self._is_document:
                counts.refuse(error, lambda: (1, 1))
            return value

    def _note(self, counts: Counts, column: str, place: Callable[[int], tuple[int, str]]) -> None:
        results = self._results
        results.count("changed", counts.changed)
        results.count("unchanged", counts.unchanged)
        if counts.facts is not None:
            results.facts.merge(counts.facts)
        # One value may have more refusals than are named; the first of a code counts for them.
        unnamed = Counter(counts.refused)
        unnamed.subtract(one.code for one in counts.refusals)
        for one in counts.refusals:
            row, path = place(one.line)
            error = MMRawError(one.code, one.message, one.path).with_path_prefix(path)
            number = 1 + unnamed.pop(one.code, 0)
            results.add(row, column, "refused", error, byte=one.byte, number=number)


def _has_plain_lines(array: Any) -> bool:
    return types.is_binary(array.type) and len(array) > 0 and not array.null_count


def _is_told(counts: Counts) -> bool:
    return sum(counts.refused.values()) == len(counts.refusals)
