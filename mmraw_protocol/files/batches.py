"""What the commands do with files, done with Arrow batches: for Ray, datasets, or another engine.

Each function takes a `pyarrow.RecordBatch` and gives batches. Nothing is kept between two calls but
an open store, one in each process; a `functools.partial` of a function can be pickled.

Text is found in columns of any layout: refs and data: URLs that are a value of their own, and
strings in values that are JSON. Each row of a column in `documents` must be a JSON document, or a
ref without quotes; text of other columns that is neither is passed over.

What was found is a batch of `RESULTS`, behind the columns named in `keep`, which are copied from
the row. A refusal has a line of its own. Things of one kind with which all is well share a line
without a row.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec

from ..families import get_adapter
from ..materialize.verification import Verifier
from ..stores.maintenance.references import References, references_in
from ..stores.maintenance.strings import Text, strings_in_value
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import PREFIX, PREFIXES, is_ref, parse_ref
from .columns import Place, arrow, holds_text, rewritten
from .counts import Counts
from .job import Job, Rewriter
from .jobs import ConvertJob, InlineJob, OffloadJob, StoreSpec
from .reader import Block
from .results import FACTS, REFERENCES, RESULTS, Names, Results, batch_of, with_kept
from .rewriting import answer, rewrite, rewrite_block
from .validation import check_document, check_value, refs_alone, value_in, verifier_with

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

#: Values that are rewritten together, and rows that are checked together.
_TOGETHER = 64
#: Refs that are rewritten together: what one of them taught is used for the next.
_MANY = 1024
_REF = PREFIX.encode()
_encode_lines = msgspec.json.Encoder().encode_lines
_JSON = (b"{", b"[", b'"')
_TEXT = (*_JSON, *(prefix.encode() for prefix in PREFIXES))


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
    results = Results(batch, keep)
    check_rows(batch, results, documents, verifier or verifier_with(limits))
    return results.batch()


def check_rows(batch: Any, results: Results, documents: Names, verifier: Verifier) -> None:
    """What `validate_batch` does, with results that are open."""
    for first in range(0, batch.num_rows, _TOGETHER):
        part = batch.slice(first, _TOGETHER)
        refs = None if documents else _refs_alone(part)
        if refs is None or (refs and verifier.doubtful(refs)):
            _check_rows(part, first, documents, verifier, results)
        else:
            results.count("ref", len(refs))


def _refs_alone(batch: Any) -> list[bytes] | None:
    """The refs of rows with nothing else of this protocol in them, as `refs_alone` finds them."""
    fields = [field for field in batch.schema if holds_text(field.type)]
    names = [field.name for field in fields]
    # Bytes may be text, too; an encoder makes something else of them.
    if any("binary" in str(field.type) for field in fields):
        return None
    with contextlib.suppress(TypeError, ValueError, msgspec.MsgspecError):
        return refs_alone(_encode_lines(batch.select(names).to_pylist()))
    return None


def _check_rows(
    batch: Any, first: int, documents: Names, verifier: Verifier, results: Results
) -> None:
    for row, (fields, texts) in enumerate(_rows(batch, documents), first):
        for column, text in texts.items():
            for finding in check_document(text, verifier=verifier):
                results.add(row, column, finding.kind, finding.error)
                for error in finding.others:
                    results.add(row, column, finding.kind, error, number=0)
        if not fields:
            continue
        names = fields.keys()
        for finding in check_value(fields, verifier=verifier, columns=names):
            for index, found in enumerate((finding.error, *finding.others)):
                column, error = _in_column(found, fields)
                results.add(row, column, finding.kind, error, number=int(not index))


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


def rewrite_batch(batch: Any, job: Job, *, keep: Names = (), documents: Names = ()) -> Rewritten:
    """Rewrites the strings of a batch; schema, metadata, order and every other value stay.

    A refused string stays as it is and has a line in the results.

    Raises:
        MMRawError: one of `STORE_FAILS`; what `job.open` raises; unsupported_option (text in unions
            or list views); limit_exceeded (a column's type cannot hold the new texts).
    """
    results = Results(batch, keep)
    return Rewritten(rewrite_rows(batch, open_once(job), results, documents), results.batch())


def rewrite_rows(batch: Any, rewriter: Rewriter, results: Results, documents: Names = ()) -> Any:
    """The rows that `rewrite_batch` gives, with a rewriter and results that are open."""
    names = batch.schema.names
    columns = [
        rewritten(array, _Rewriting(rewriter, results, name in documents).texts, name)
        for name, array in zip(names, batch.columns, strict=True)
    ]
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
    return references_in(_texts(batch, documents), open_once(store), limits=limits)


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
    rows: list[tuple[Any, ...]] = []
    for text, _, row in _texts(batch, documents):
        if is_ref(text):
            rows.append((row, *_ref_facts(text, limits)))
        elif text.startswith("data:image/"):
            rows.append((row, *_image_facts(text, limits)))
    return with_kept(batch.select(list(keep)), batch_of(rows, FACTS))


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

    def __init__(self, rewriter: Rewriter, results: Results, is_document: bool) -> None:
        self._rewriter, self._results, self._is_document = rewriter, results, is_document

    def open(self) -> Rewriter:
        """The rewriter."""
        return self._rewriter

    def texts(
        self, values: Sequence[bytes | None], column: str, key: str, place: Place
    ) -> Sequence[bytes | None]:
        """The new texts; those with which nothing happens are the same."""
        new = list(values)
        prefixes = self._rewriter.prefixes
        lines: list[int] = []
        passed = b""
        self._together(new)
        for index, value in enumerate(values):
            # Columns often say the same in row after row.
            if new[index] != value or not value or value == passed:
                continue
            if self._is_document or value.startswith(_JSON):
                lines.append(index)
            elif prefixes.opens(value[: prefixes.window]):
                counts = Counts()
                new[index] = self._whole(value, key, counts)
                self._note(counts, column, lambda line, index=index: place(index))
            else:
                passed = value
        for first in range(0, len(lines), _TOGETHER):
            self._lines(new, lines[first : first + _TOGETHER], column, place)
        return values if new == values else new

    def _together(self, values: list[bytes | None]) -> None:
        """Rewrites refs that a rewriter takes together, and that change."""
        together = getattr(self._rewriter, "rewrite_together", None)
        if together is None:
            return
        most = self._rewriter.most
        at = [n for n, one in enumerate(values) if one and one.startswith(_REF) and len(one) < most]
        for first in range(0, len(at), _MANY):
            part = at[first : first + _MANY]
            tails = [cast(bytes, values[index])[len(_REF) :] for index in part]
            new: list[bytes | None] = together(tails)
            pairs = zip(part, tails, new, strict=True)
            changed = {index: _REF + to for index, old, to in pairs if to is not None and to != old}
            for index, text in changed.items():
                values[index] = text
            self._results.count("changed", len(changed))

    def _whole(self, value: bytes, key: str, counts: Counts) -> bytes:
        """A value that is a wanted string as it stands."""
        new = answer(self._rewriter, value, value.decode("utf-8", "replace"), key)
        if isinstance(new, MMRawError):
            counts.refuse(new, lambda: (1, 1))
            return value
        counts.notes = self._rewriter.drain_stats()
        text = new.encode()
        counts.count("unchanged" if text == value else "changed")
        return text

    def _lines(self, new: list[bytes | None], at: Sequence[int], column: str, place: Place) -> None:
        """Values that are JSON, together where all are, none spans lines and all can be told."""
        joined = b"\n".join(cast(bytes, new[index]) for index in at)
        done = None
        if joined.count(b"\n") == len(at) - 1:
            done = rewrite_block(Block(joined, 1, True), self._rewriter, True)
        data, counts = (None, Counts()) if done is None else (done.data, done.counts)
        is_told = sum(counts.refused.values()) == len(counts.refusals)
        if len(at) > 1 and (data is None or not is_told):
            middle = len(at) // 2
            self._lines(new, at[:middle], column, place)
            self._lines(new, at[middle:], column, place)
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
        for one in counts.refusals:
            row, path = place(one.line)
            error = MMRawError(one.code, one.message, one.path).with_path_prefix(path)
            results.add(row, column, "refused", error, byte=one.byte)


def _rows(batch: Any, documents: Names) -> Iterator[tuple[dict[str, Any], dict[str, bytes]]]:
    """The values of each row that may hold text, JSON text decoded; and its documents."""
    names = [field.name for field in batch.schema if holds_text(field.type)]
    columns = [batch.column(name).to_pylist() for name in names]
    for values in zip(*columns, strict=True):
        fields: dict[str, Any] = {}
        texts: dict[str, bytes] = {}
        for name, value in zip(names, values, strict=True):
            if name not in documents:
                fields[name] = _decoded(value)
            elif value and value.strip():
                texts[name] = (value.encode() if isinstance(value, str) else value).strip()
        yield fields, texts


def _decoded(value: Any) -> Any:
    """A value, or what it says as JSON; bytes that cannot be text are None."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace") if value.startswith(_TEXT) else None
    held = value_in(value) if isinstance(value, str) else None
    return value if held is None else held


def _texts(batch: Any, documents: Names) -> Iterator[Text]:
    """Every string of a batch, its line being the row."""
    for row, (fields, texts) in enumerate(_rows(batch, documents)):
        yield from strings_in_value([*fields.values(), *map(_decoded, texts.values())], row)


def _in_column(error: MMRawError | None, columns: Names) -> tuple[str | None, MMRawError | None]:
    """The column in which an error of a row stands, and the error as one of its value."""
    path = "" if error is None else error.path.removeprefix("$.")
    ends = ("", ".", "[")
    found = [n for n in columns if path.startswith(n) and path[len(n) : len(n) + 1] in ends]
    if error is None or not found:
        return None, error
    column = max(found, key=len)
    return column, MMRawError(error.code, error.message, "$" + path[len(column) :])
