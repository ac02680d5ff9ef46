"""What the commands do with files, done with Arrow batches: for Ray, datasets, or another engine.

Each function takes a `pyarrow.RecordBatch` and gives batches. Nothing is kept between two calls but
an open store, one in each process; a `functools.partial` of a function can be pickled.

Text is found in columns of any layout: refs and data: URLs that are a value of their own, and
strings in values that are JSON. Each row of a column in `documents` must be a JSON document, or a
ref without quotes; text of other columns that is neither is passed over, but `validate_batch`
finds the refs in it.

What was found is a batch of `RESULTS`, behind the columns named in `keep`, which are copied from
the row. A refusal has a line of its own. Things of one kind with which all is well share a line
without a row.
"""

from __future__ import annotations

import contextlib
import io
import operator
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from ..families import get_adapter
from ..materialize.verification import Verifier
from ..stores.maintenance.references import References, references_in
from ..stores.maintenance.row_values import arrow, as_bytes, is_text, types
from ..stores.maintenance.strings import Text, strings_in_value
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import PREFIX, is_ref, parse_ref
from .checked_rows import DATA_IMAGE, check_rows, decoded, rows_of
from .columns import Place, check_columns, rewritten
from .counts import Counts
from .job import Job, Rewriter
from .jobs import DATA_HEAD, ConvertJob, InlineJob, OffloadJob, StoreSpec, checked_spec
from .prefixes import may_be_json_text
from .prose import rewrite_text
from .reader import Block
from .results import FACTS, REFERENCES, RESULTS, Names, Results, batch_of, kept_of, with_kept
from .rewriting import counted, rewrite, rewrite_block
from .texts import may_hold_ref
from .validation import verifier_with

__all__ = [
    "FACTS",
    "REFERENCES",
    "RESULTS",
    "Rewritten",
    "convert_batch",
    "describe_batch",
    "inline_batch",
    "offload_batch",
    "references_batch",
    "rewrite_batch",
    "validate_batch",
]

#: Values, and bytes of values, that are rewritten together: what one ref taught is used for the
#: next. Where one stands in the way, it is looked for in so many parts.
_MANY = 1024
_MANY_BYTES = 1 << 20
_SPLIT = 16
#: Bytes of a text that may be in many rows.
_SHORT = 64
_REF = PREFIX.encode()


class Rewritten(NamedTuple):
    """A rewritten batch, and what was done: `changed`, `unchanged`, `image` and refusals."""

    rows: Any
    results: Any


def validate_batch(
    batch: Any,
    *,
    keep: Names = (),
    documents: Names = (),
    limits: Limits = DEFAULT_LIMITS,
    verifier: Verifier | None = None,
) -> Any:
    """Checks every ref, envelope, features body and conversation in a batch, as `check` does.

    The columns of a row are looked at together: one may hold the images of another's messages.
    """
    check_columns(batch, keep, documents)
    results = Results(batch, keep)
    check_rows(batch, results, documents, verifier or verifier_with(limits))
    return results.batch()


def convert_batch(
    batch: Any, *, keep: Names = (), documents: Names = (), **options: Any
) -> Rewritten:
    """Moves every ref to another dialect: `rewrite_batch` with `ConvertJob(**options)`."""
    return rewrite_batch(batch, ConvertJob(**options), keep=keep, documents=documents)


def offload_batch(
    batch: Any, *, keep: Names = (), documents: Names = (), **options: Any
) -> Rewritten:
    """Moves every data: image into the store: `rewrite_batch` with `OffloadJob(**options)`."""
    return rewrite_batch(batch, OffloadJob(**options), keep=keep, documents=documents)


def inline_batch(
    batch: Any, *, keep: Names = (), documents: Names = (), **options: Any
) -> Rewritten:
    """Takes every stored image back: `rewrite_batch` with `InlineJob(**options)`."""
    return rewrite_batch(batch, InlineJob(**options), keep=keep, documents=documents)


def rewrite_batch(
    batch: Any, job: Job, *, keep: Names = (), documents: Names = (), text: bool = False
) -> Rewritten:
    """Rewrites the strings of a batch; schema, metadata, order and every other value stay.

    A refused string stays as it is and has a line in the results. With `text`, the refs within
    values are rewritten as `rewrite_prose` does, whatever is around them.

    Raises:
        MMRawError: one of `STORE_FAILS`; what `job.open` raises; unsupported_option (text in unions
            or list views); limit_exceeded (a column's type cannot hold the new texts).
    """
    check_columns(batch, keep, documents)
    results = Results(batch, keep)
    rows = rewrite_rows(batch, open_once(job), results, documents, text=text)
    return Rewritten(rows, results.batch())


def rewrite_rows(
    batch: Any, rewriter: Rewriter, results: Results, documents: Names = (), *, text: bool = False
) -> Any:
    """The rows that `rewrite_batch` gives, with a rewriter and results that are open."""
    given: list[Any] = batch.columns
    columns: list[Any] = []
    for name, array in zip(batch.schema.names, given, strict=True):
        rewriting = _Rewriting(rewriter, results, name in documents, text)
        is_passed = rewriting.passes(array)
        columns.append(array if is_passed else rewritten(array, rewriting.texts, name))
    if all(new is old for new, old in zip(columns, given, strict=True)):
        return batch
    return arrow.RecordBatch.from_arrays(columns, schema=batch.schema)


def references_batch(
    batch: Any,
    store: StoreSpec,
    *,
    documents: Names = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """The stored images that a batch names, each once: a batch of `REFERENCES`."""
    found = references_of(batch, store, documents=documents, limits=limits)
    rows = [
        (row, mention.raw_image_id, mention.run_id, mention.mm_hash)
        for mention, (_, row) in found.mentions.items()
    ]
    return batch_of(rows, REFERENCES)


def references_of(batch: Any, store: StoreSpec, *, documents: Names, limits: Limits) -> References:
    """What `read_references` finds in files; the line of a place is the row, from 0."""
    check_columns(batch, (), documents)
    return references_in(_texts(batch, documents), open_once(checked_spec(store)), limits=limits)


def describe_batch(
    batch: Any,
    *,
    keep: Names = (),
    documents: Names = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """Every ref and data: image of a batch: a batch of `FACTS`, behind the columns in `keep`.

    `tokens` are those of a built-in family at the ref's layout; `bytes` those of an inline image.
    """
    check_columns(batch, keep, documents)
    rows: list[tuple[Any, ...]] = []
    for text, _, row in _texts(batch, documents):
        if is_ref(text):
            rows.append((row, *_ref_facts(text, limits)))
        elif text[: len(DATA_IMAGE)].lower() == DATA_IMAGE and DATA_HEAD.match(text):
            rows.append((row, *_image_facts(text, limits)))
    return with_kept(kept_of(batch, keep), batch_of(rows, FACTS))


def _ref_facts(text: str, limits: Limits) -> tuple[Any, ...]:
    try:
        ref = parse_ref(text, limits=limits)
    except MMRawError as error:
        return "ref", error.code, None, None, None, None, None
    tokens = size = None
    with contextlib.suppress(MMRawError):
        tokens = get_adapter(ref.family).num_tokens(ref.payload)
    if ref.is_inline:
        size = len(parse_data_uri(cast(str, ref.raw_uri), limits=limits).data)
    return "ref", None, ref.dialect, ref.family, ref.mm_hash, tokens, size


def _image_facts(text: str, limits: Limits) -> tuple[Any, ...]:
    try:
        data = parse_data_uri(text, limits=limits).data
    except MMRawError as error:
        return "image", error.code, None, None, None, None, None
    return "image", None, None, None, sha256_hex(data), None, len(data)


def open_once(what: Any) -> Any:
    """A job's rewriter, or a store: children share no connection, nor do threads a memory."""
    return _opened(what, os.getpid(), threading.get_ident())


@lru_cache(maxsize=8)
def _opened(what: Any, process: int, thread: int) -> Any:
    return what.open()


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

    def passes(self, array: Any) -> bool:
        """Whether the values of a dictionary, which are fewer than its rows, are not wanted."""
        kind = array.type
        if self._is_document or not (types.is_dictionary(kind) and is_text(kind)):
            return False
        values = array.dictionary
        return len(values) <= len(array) and not any(map(self._is_wanted, as_bytes(values)))

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
        counts.notes = self._rewriter.drain_stats()
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
        """Values that are JSON, together where all are, none spans lines and all can be told."""
        joined = b"\n".join([cast(bytes, new[index]) for index in at])
        done = None
        if joined.count(b"\n") == len(at) - 1:
            done = rewrite_block(Block(joined, 1, True), self._rewriter)
        data, counts = (None, Counts()) if done is None else (done.data, done.counts)
        is_told = sum(counts.refused.values()) == len(counts.refusals)
        if len(at) > 1 and (data is None or not is_told):
            fewer = -(-len(at) // _SPLIT)
            for first in range(0, len(at), fewer):
                self._some_lines(new, at[first : first + fewer], column, place)
            return
        if data is None:
            data = self._scanned(joined, counts)
        texts = [data] if len(at) == 1 else data.split(b"\n")
        for index, text in zip(at, texts, strict=True):
            new[index] = text
        first = len(at) == 1
        self._note(counts, column, lambda line: place(at[0 if first else line - 1]))

    def _scanned(self, value: bytes, counts: Counts) -> bytes:
        """A document over many lines; what is no document stays as it is."""
        parts: list[bytes] = []
        try:
            source = io.BytesIO(value).read
            report = rewrite(source, parts.append, self, on_error="keep", note=counts.notes.extend)
            counts.merge(report)
            return b"".join(parts)
        except MMRawError as error:
            counts.notes.clear()
            if self._is_document:
                counts.refuse(error, lambda: (1, 1))
            return value

    def _note(self, counts: Counts, column: str, place: Callable[[int], tuple[int, str]]) -> None:
        results = self._results
        results.count("changed", counts.changed)
        results.count("unchanged", counts.unchanged)
        results.notes += counts.notes
        results.count("image", len(counts.notes), sum(size for _, size in counts.notes))
        # One value may have more refusals than are named; the first of a code counts for them.
        unnamed = Counter(counts.refused)
        unnamed.subtract(one.code for one in counts.refusals)
        for one in counts.refusals:
            row, path = place(one.line)
            error = MMRawError(one.code, one.message, one.path).with_path_prefix(path)
            number = 1 + unnamed.pop(one.code, 0)
            results.add(row, column, "refused", error, byte=one.byte, number=number)


def _texts(batch: Any, documents: Names) -> Iterator[Text]:
    """Every string of a batch, its line being the row."""
    for row, (fields, texts) in enumerate(rows_of(batch, documents)):
        yield from strings_in_value([*fields.values(), *map(decoded, texts.values())], row)
