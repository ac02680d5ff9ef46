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
import os
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

from ..families import get_adapter
from ..materialize.verification import Verifier
from ..stores.maintenance.references import References, references_in
from ..stores.maintenance.strings import Text, strings_in_value
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import is_ref, parse_ref
from .checked_rows import DATA_IMAGE, check_rows, decoded, rows_of
from .columns import check_columns
from .job import Job
from .jobs import DATA_HEAD, ConvertJob, InlineJob, OffloadJob, StoreSpec, checked_spec
from .results import FACTS, REFERENCES, RESULTS, Names, Results, batch_of, kept_of, with_kept
from .rewritten_rows import rewrite_rows
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


def _texts(batch: Any, documents: Names) -> Iterator[Text]:
    """Every string of a batch, its line being the row."""
    for row, (fields, texts) in enumerate(rows_of(batch, documents)):
        yield from strings_in_value([*fields.values(), *map(decoded, texts.values())], row)
