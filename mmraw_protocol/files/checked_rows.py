"""Refs, envelopes, features bodies and conversations in the rows of Arrow batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..materialize.verification import Verifier
from ..stores.maintenance.row_values import as_bytes, is_text, plain_values, types
from ..wire.errors import MMRawError
from ..wire.item import KIND
from ..wire.ref import PREFIX
from .checking import take_lines
from .columns import joined_lines, rows_in, text_columns
from .lines import is_text as is_text_line
from .prefixes import may_be_json_text
from .prose import check_text
from .reader import Block
from .results import Names, Results
from .texts import may_hold_ref
from .validation import Finding, check_document, check_value, refs_alone, value_in

#: Rows, and bytes of rows, that are checked together where nothing but right refs is in them.
_MANY = 1024
_MANY_BYTES = 1 << 20
#: Rows that are checked together where that is not so, and documents.
_FEW = 16
_DOCUMENTS = 256
_REF = PREFIX.encode()
#: How the data: URL of an image begins, in any case.
DATA_IMAGE = "data:image/"
_KIND = KIND.encode()
_encode_lines = msgspec.json.Encoder().encode_lines


def check_rows(batch: Any, results: Results, documents: Names, verifier: Verifier) -> None:
    """What `validate_batch` does, with results that are open."""
    columns = text_columns(batch)
    for name in documents:
        if name in columns:
            _check_documents(batch.column(name), _Column(results, name), verifier)
    columns = [name for name in columns if name not in documents]
    if columns:
        _check_columns(batch.select(columns), verifier, results)


class _Column:
    """Takes what is found in the texts of a column, by their rows."""

    def __init__(self, results: Results, name: str) -> None:
        self._results, self._name = results, name
        self.text_lines = 0

    def count(self, kind: str, number: int) -> None:
        self._results.count(kind, number)

    def add(self, line: int, finding: Finding, byte: int = 0) -> None:
        self._results.facts.note(finding.notes)
        for index, error in enumerate((finding.error, *finding.others)):
            number = int(not index)
            self._results.add(
                line, self._name, finding.kind, error, byte=byte or None, number=number
            )


def _check_documents(texts: Any, column: _Column, verifier: Verifier) -> None:
    """Texts that are a document each: together where each is a line."""
    for index, lines in enumerate(joined_lines(texts, _DOCUMENTS)):
        first = index * _DOCUMENTS
        part = texts.slice(first, _DOCUMENTS)
        if lines.count(b"\n") == len(part) - 1:
            take_lines(Block(lines, first, True), verifier, column)
            continue
        for row, value in enumerate(as_bytes(part), first):
            whole = value or b""
            text = whole.strip()
            if is_text_line(text):
                check_text(whole, row, verifier, column)
            elif text:
                for finding in check_document(text, verifier=verifier):
                    column.add(row, finding)


def _check_columns(rows: Any, verifier: Verifier, results: Results) -> None:
    most = max(_FEW, rows_in(rows, _MANY_BYTES))
    for first, many in _parts(rows, 0, min(most, _MANY)):
        if _refs_counted(many, verifier, results):
            continue
        for at, few in _parts(many, first, _FEW):
            if not _refs_counted(few, verifier, results):
                _check_each(few, at, verifier, results)


def _parts(rows: Any, first: int, most: int) -> Iterator[tuple[int, Any]]:
    """Some rows at a time, with the number of the first of them."""
    return ((first + at, rows.slice(at, most)) for at in range(0, rows.num_rows, most))


def _refs_counted(rows: Any, verifier: Verifier, results: Results) -> bool:
    """Whether right refs are all of this protocol that is in the rows; they are counted then."""
    refs = _refs_alone(rows)
    if refs is None or (refs and verifier.doubtful(refs)):
        return False
    results.count("ref", len(refs))
    return True


def _refs_alone(rows: Any) -> list[bytes] | None:
    """The refs, without their `mmraw:`, of rows with nothing else of this protocol in them.

    None where that is not so, or may not be so.
    """
    if "kwargs_data" in rows.schema.names:
        # The columns may be those of features.
        return None
    if all(is_text(field.type) for field in rows.schema):
        columns = [_refs_in_column(array) for array in rows.columns]
        return None if None in columns else [ref for refs in columns for ref in refs or ()]
    with contextlib.suppress(TypeError, ValueError, msgspec.MsgspecError):
        names = rows.schema.names
        values = zip(*map(_values, rows.columns), strict=True)
        return refs_alone(_encode_lines([dict(zip(names, row, strict=True)) for row in values]))
    return None


def _refs_in_column(array: Any) -> list[bytes] | None:
    if types.is_dictionary(array.type) and len(array.dictionary) <= len(array):
        # Few values in many rows, and mostly none is a ref.
        refs = _refs_in(as_bytes(array.dictionary))
        if not refs:
            return refs
    return _refs_in(as_bytes(array))


def _refs_in(texts: Sequence[bytes | None]) -> list[bytes] | None:
    """The same of texts, one of which may tell what its row is."""
    refs: list[bytes] = []
    others: set[bytes] = set()
    for text in filter(None, texts):
        if text.startswith(_REF):
            refs.append(text[len(_REF) :])
        else:
            others.add(text)
    for text in others:
        if text == _KIND or may_be_json_text(text) or may_hold_ref(text):
            return None
    return refs


def _check_each(batch: Any, first: int, verifier: Verifier, results: Results) -> None:
    for row, (fields, _) in enumerate(rows_of(batch, ()), first):
        names = fields.keys()
        for finding in check_value(fields, verifier=verifier, columns=names):
            results.facts.note(finding.notes)
            for index, found in enumerate((finding.error, *finding.others)):
                column, error = _in_column(found, fields)
                results.add(row, column, finding.kind, error, number=int(not index))


def rows_of(batch: Any, documents: Names) -> Iterator[tuple[dict[str, Any], dict[str, bytes]]]:
    """The values of each row that may hold text, JSON text decoded; and its documents."""
    names = text_columns(batch)
    columns = [(as_bytes if name in documents else _values)(batch.column(name)) for name in names]
    for values in zip(*columns, strict=True):
        fields: dict[str, Any] = {}
        texts: dict[str, bytes] = {}
        for name, value in zip(names, values, strict=True):
            if name not in documents:
                fields[name] = decoded(value)
            elif value and value.strip():
                texts[name] = value.strip()
        yield fields, texts


def _values(array: Any) -> list[Any]:
    return plain_values(array, text_of)


def text_of(value: bytes) -> Any:
    """The text that bytes are; other bytes, which may be those of an image."""
    is_url = value[: len(DATA_IMAGE)].lower() == DATA_IMAGE.encode()
    may_be_text = may_be_json_text(value) or is_url or may_hold_ref(value)
    return value.decode("utf-8", "replace") if may_be_text else value


def decoded(value: Any) -> Any:
    """A value, or what it says as JSON; bytes that cannot be text are None."""
    if isinstance(value, bytes):
        value = text_of(value)
    if not isinstance(value, str):
        return None if isinstance(value, bytes) else value
    held = value_in(value)
    return value if held is None else held


def _in_column(error: MMRawError | None, columns: Names) -> tuple[str | None, MMRawError | None]:
    """The column in which an error of a row stands, and the error as one of its value."""
    path = "" if error is None else error.path.removeprefix("$.")
    ends = ("", ".", "[")
    found = [n for n in columns if path.startswith(n) and path[len(n) : len(n) + 1] in ends]
    if error is None or not found:
        return None, error
    column = max(found, key=len)
    return column, MMRawError(error.code, error.message, "$" + path[len(column) :])
