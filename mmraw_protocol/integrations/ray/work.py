"""The work on Datasets: lazily, as Datasets again, or written in one pass."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, cast

import msgspec

from ...files.batches import Rewritten, open_once, references_of, rewrite_batch, validate_batch
from ...files.columns import arrow, bytes_of
from ...files.job import Job
from ...files.jobs import ConvertJob, InlineJob, OffloadJob, StoreSpec, checked_spec
from ...files.noting import NotingJob
from ...files.results import STORE_FAILS, Names, Results
from ...materialize.verification import Verifier
from ...wire._generated.limits import DEFAULT_LIMITS, Limits
from ...wire.errors import MMRawError
from ...wire.hashes import sha256_hex
from .blocks import BATCH_BYTES, BATCH_ROWS, INLINED_ROWS, worked
from .lines import APART_MEMORY, absolute, ranges_behind
from .parts import Form, Parts, Summary

#: Results that a task gives together.
_TOGETHER = 64


class Rewriting:
    """A Dataset that is rewritten; nothing runs before it is asked for.

    Attributes:
        rows: The Dataset of the new rows, with the schema of the old ones.
        results: The Dataset of what was done: counts and refusals.

    Args:
        ds: The Dataset.
        job: What to do with its strings.
        facts: Whether it is noted what the images are: forms, families, tokens, duplicates.
        options: Those of `rewrite_batch`.
    """

    def __init__(self, ds: Any, job: Job, *, facts: bool = False, **options: Any) -> None:
        self._ds = ds
        store = getattr(job, "store", None)
        if store is not None:
            job = msgspec.structs.replace(cast(Any, job), store=_for_workers(store))
        most = INLINED_ROWS if isinstance(job, InlineJob) else BATCH_ROWS
        work = partial(rewrite_batch, job=NotingJob(job) if facts else job, **options)
        self._work = _of_blocks(ds, work, options.get("keep", ()), most)
        self.rows = _mapped(ds, partial(_rows_of, work=self._work))
        self.results = _mapped(ds, partial(_results_of, work=self._work))

    def write(
        self, out: str, *, refused: str, form: Form = "parquet", compression: str | None = None
    ) -> Summary:
        """Writes rows and refusals in one pass; see `Parts`.

        Args:
            out: The folder of the new rows, a path or URL, empty or absent.
            refused: The folder of the refusals, Parquet files: a data set of their own.
            form: `parquet`; `lines` for a Dataset of `read_lines`.
            compression: Of lines gzip or zstd; of Parquet as pyarrow takes it.

        Raises:
            MMRawError: source_unavailable, unsupported_option. Ray's own errors for what a task
                raises.
        """
        places = absolute(out), absolute(refused)
        source = ranges_behind(self._ds).items
        parts = Parts(self._work, *places, form, compression)
        parts.check()
        is_handed = source is self._ds and form == "parquet"
        options = {"memory": APART_MEMORY} if is_handed else {}
        source.write_datasink(parts, ray_remote_args=options)
        return parts.summary


def convert(ds: Any, *, keep: Names = (), documents: Names = (), **options: Any) -> Rewriting:
    """Every ref goes to another dialect; the options are those of `ConvertJob`."""
    return Rewriting(ds, ConvertJob(**options), keep=keep, documents=documents)


def offload(ds: Any, *, keep: Names = (), documents: Names = (), **options: Any) -> Rewriting:
    """Every data: image goes into the store; the options are those of `OffloadJob`."""
    return Rewriting(ds, OffloadJob(**options), keep=keep, documents=documents)


def inline(ds: Any, *, keep: Names = (), documents: Names = (), **options: Any) -> Rewriting:
    """Every stored image comes back; the options are those of `InlineJob`."""
    return Rewriting(ds, InlineJob(**options), keep=keep, documents=documents)


def validate(
    ds: Any,
    *,
    keep: Names = (),
    documents: Names = (),
    limits: Limits = DEFAULT_LIMITS,
    verifier: Verifier | None = None,
) -> Any:
    """A Dataset of the results of `validate_batch`.

    With a `Verifier(each=True)`, it is noted what the images are, as for `Rewriting`.
    """
    options: dict[str, Any] = {"documents": documents, "limits": limits, "verifier": verifier}
    return _checked(ds, partial(validate_batch, keep=keep, **options), keep)


def stats(ds: Any, *, keep: Names = (), documents: Names = (), text: bool = False) -> Any:
    """A Dataset of results: what each ref and data: image is, and which cannot be read."""
    return Rewriting(ds, NotingJob(), keep=keep, documents=documents, text=text).results


def fsck(
    ds: Any,
    store: StoreSpec,
    *,
    keep: Names = (),
    documents: Names = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """A Dataset of results: whether the images that rows name are in the store, as they are named.

    A process reads an object once, as long as it is among the last 65,536 that it read. Which
    objects nothing names, only a listing can tell: `mmraw store fsck`.
    """
    work = partial(
        _fsck_batch, store=_for_workers(store), keep=keep, documents=documents, limits=limits
    )
    return _checked(ds, work, keep)


def _for_workers(store: StoreSpec) -> StoreSpec:
    """The same store, whatever a worker's working directory is.

    Raises:
        MMRawError: invalid_type.
    """
    return msgspec.structs.replace(checked_spec(store), place=absolute(store.place))


def summary(results: Any) -> Summary:
    """Runs a Dataset of results and counts what it holds."""
    found = Summary()
    for batch in results.iter_batches(batch_format="pyarrow", batch_size=None):
        found.add(batch)
    found.place()
    return found


def _checked(ds: Any, work: Callable[[Any], Any], keep: Names) -> Any:
    """The Dataset of the results that `work` gives of batches."""
    of_blocks = _of_blocks(ds, partial(_without_rows, work=work), keep, BATCH_ROWS)
    return _mapped(ds, partial(_results_of, work=of_blocks))


def _without_rows(batch: Any, *, work: Callable[[Any], Any]) -> Rewritten:
    return Rewritten(None, work(batch))


def _of_blocks(
    ds: Any, work: Callable[[Any], Rewritten], keep: Names, most: int
) -> Callable[[Any], Iterator[Rewritten]]:
    """Work on batches as work on the blocks that a Dataset is read from."""
    _, read, counts = ranges_behind(ds)
    return partial(worked, work=work, read=read, most=most, keep=keep, counts=counts)


def _mapped(ds: Any, each: Callable[[Any], Iterator[Any]]) -> Any:
    done = partial(_together, each=each)
    source = ranges_behind(ds).items
    return source.map_batches(done, batch_format="pyarrow", batch_size=None, zero_copy_batch=True)


def _together(block: Any, *, each: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
    """Small batches of what is done with a block, some of them together: Ray has costs for each."""
    done: list[Any] = []
    size = 0
    for batch in each(block):
        done.append(batch)
        size += bytes_of(batch)
        if size > BATCH_BYTES or len(done) == _TOGETHER:
            yield _table_of(done)
            done, size = [], 0
    if done:
        yield _table_of(done)


def _table_of(done: list[Any]) -> Any:
    table = arrow.Table.from_batches(done)
    # Dictionaries that differ may have too many values for their type of index together.
    with contextlib.suppress(arrow.ArrowException):
        table = table.combine_chunks()
    return table


def _rows_of(block: Any, *, work: Callable[[Any], Iterator[Rewritten]]) -> Iterator[Any]:
    return (one.rows for one in work(block) if one.rows is not None)


def _results_of(block: Any, *, work: Callable[[Any], Iterator[Rewritten]]) -> Iterator[Any]:
    return (one.results for one in work(block))


def _fsck_batch(
    batch: Any, *, store: StoreSpec, keep: Names, documents: Names, limits: Limits
) -> Any:
    results = Results(batch, keep)
    found = references_of(batch, store, documents=documents, limits=limits)
    for problem in found.problems:
        error = MMRawError(problem.code, problem.message)
        results.add(problem.line or 0, None, "ref", error)
    for mention, (_, row) in found.mentions.items():
        digest, size, error = _stored(store, mention.raw_image_id, mention.run_id, os.getpid())
        if error is None and not digest.startswith(mention.mm_hash or ""):
            message = "expected a stored image with the hash that is named, got another"
            error = MMRawError("hash_mismatch", message)
        results.add(row, None, "image", error, size)
    return results.batch()


@lru_cache(maxsize=65_536)
def _stored(
    store: StoreSpec, name: str, run_id: str | None, process: int
) -> tuple[str, int, MMRawError | None]:
    """The sha256 and size of a stored image, or what is wrong with it."""
    try:
        data = open_once(store).get(name, run_id=run_id)
        return sha256_hex(data), len(data), None
    except MMRawError as error:
        if error.code in STORE_FAILS:
            raise
        return "", 0, MMRawError(error.code, error.message)
