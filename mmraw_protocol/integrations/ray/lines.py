"""JSON lines as a Dataset of Ray: a row for each line, its bytes as they stand in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from ...files.columns import array_of_lines, arrow
from ...wire.errors import MMRawError
from .faults import BROKEN_LINES, Fault, Watched, not_read

#: Bytes of the input in a batch of lines.
BATCH_BYTES = 1 << 20
#: Bytes of a file that is not compressed in one task. Ray needs 0.2 s from one task to the next.
TASK_BYTES = 256 << 20
#: Bytes that a task asks for where those before or behind it ask for none: Ray makes no one task of
#: them then, which would hold all that it reads until it has written it.
APART_MEMORY = 256 << 20
#: The start of a compressed file, and Arrow's name for the compression.
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
#: The columns of `read_lines`: where the line begins in its file, decompressed, and the line.
LINES: Any = arrow.schema(
    [
        ("file", arrow.dictionary(arrow.int32(), arrow.string())),
        ("start", arrow.int64()),
        ("line", arrow.binary()),
    ]
)


class Source(NamedTuple):
    """A file of the input.

    Attributes:
        path: A path or URL, as given.
        size: In bytes.
        head: Its first bytes.
    """

    path: str
    size: int
    head: bytes


class Ranges(NamedTuple):
    """What a Dataset is read from, for work that reads and writes within one task.

    Ray keeps the rows that it hands to a task that writes until the task ends. A task that reads
    them itself keeps none.

    Attributes:
        items: A Dataset with a row for each range of a file.
        read: Gives the tables of rows of such ranges.
        counts: Whether the rows of a block are lines that follow each other in a file, to be
            counted.
    """

    items: Any
    read: Callable[[Any], Iterator[Any]]
    counts: bool = False

    def rows(self, **options: Any) -> Any:
        """The Dataset of the rows."""
        return self.items.map_batches(self.read, batch_format="pyarrow", batch_size=1, **options)


def with_ranges(ranges: Ranges) -> Any:
    """The Dataset of the rows, which knows its ranges; a Dataset that is made of it does not."""
    ds = ranges.rows()
    ds.mmraw_ranges = ranges
    return ds


def ranges_behind(ds: Any) -> Ranges:
    """The ranges that a Dataset is read from; its own blocks where Ray or other work gives them."""
    return getattr(ds, "mmraw_ranges", Ranges(ds, held))


def held(block: Any) -> Iterator[Any]:
    """A block that holds its rows, as what reads them would give them."""
    yield block


def located(place: str) -> tuple[Any, str]:
    """The Arrow file system of a path or URL, and the path there.

    Raises:
        MMRawError: source_unavailable.
    """
    fs: Any = import_module("pyarrow.fs")
    try:
        if "://" in place:
            return fs.FileSystem.from_uri(place)
        return fs.LocalFileSystem(), place
    except (OSError, ValueError, arrow.ArrowException):
        message = "expected a path, or a URL that Arrow reads: s3://, gs://, file://"
    raise MMRawError("source_unavailable", message)


def absolute(place: str) -> str:
    """A path or URL that means the same to every worker, whose working directory may be another."""
    return place if "://" in place else os.path.abspath(place)


def sources_of(places: Sequence[str]) -> list[Source]:
    """The files of paths, folders and URLs, in order; names that begin with . or _ are left out.

    Raises:
        MMRawError: source_unavailable (nothing is there).
    """
    return [source for place in places for source in _sources_at(place)]


def _sources_at(place: str) -> Iterator[Source]:
    fs: Any = import_module("pyarrow.fs")
    system, path = located(place)
    found: list[Any] = []
    try:
        info = system.get_file_info(path)
        is_folder = info.type == fs.FileType.Directory
        selector = fs.FileSelector(path, recursive=True)
        infos = system.get_file_info(selector) if is_folder else [info]
        found = [one for one in infos if one.type == fs.FileType.File]
    except OSError:
        pass
    if not found:
        message = "expected a file that can be read at each path, got none at one"
        raise MMRawError("source_unavailable", message)
    for info in sorted(found, key=lambda one: one.path):
        inner = info.path[len(path) :].lstrip("/")
        if any(part.startswith((".", "_")) for part in inner.split("/")):
            continue
        with system.open_input_file(info.path) as file:
            head = file.read(64)
        name = f"{place.rstrip('/')}/{inner}" if inner else place
        yield Source(name, info.size, head)


def read_lines(places: Sequence[str] | str, *, task_bytes: int = TASK_BYTES) -> Any:
    """A Dataset with the columns of `LINES`, over files of JSON lines, also gzip or Zstandard.

    Args:
        places: Paths, folders, URLs.
        task_bytes: A longer file is read by several tasks; one that is compressed by one.

    Raises:
        MMRawError: source_unavailable.
    """
    return lines_of(sources_of([places] if isinstance(places, str) else places), task_bytes)


def lines_of(
    sources: Sequence[Source], task_bytes: int = TASK_BYTES, *, refuse: bool = False
) -> Any:
    """The Dataset of files that were looked at.

    The path of an error of one of them is its number, from 0: `$[2]`.

    Args:
        sources: The files.
        task_bytes: As for `read_lines`.
        refuse: Whether results, which must keep `file` and `start`, have a refusal where a file is
            broken, and tell the lines that were read. Otherwise, a broken file is an error.
    """
    parts = [
        {
            "number": number,
            "name": one.path,
            "path": absolute(one.path),
            "start": start,
            "end": end,
            "kind": kind,
        }
        for number, one in enumerate(sources)
        for kind in [compression_of(one.head)]
        for start, end in ranges_of(one.size, one.size if kind else task_bytes)
    ]
    ranges = Ranges(items_of(parts), partial(_batches, refuse=refuse), counts=refuse)
    if not any(part["kind"] for part in parts):
        return with_ranges(ranges)
    # One task reads a compressed file, whatever its size; several write it.
    ds = ranges.rows(memory=APART_MEMORY)
    if refuse:
        ds.mmraw_ranges = Ranges(ds, _with_faults, counts=True)
    return ds


def ranges_of(size: int, most: int) -> list[tuple[int, int]]:
    """Ranges of a file of about the same size, which is at most `most`."""
    number = -(-size // max(most, 1))
    ends = [size * index // number for index in range(1, number + 1)]
    return list(zip([0, *ends], ends, strict=False))


def items_of(parts: Sequence[dict[str, Any]]) -> Any:
    """A Dataset with a task for each row."""
    data: Any = import_module("ray.data")
    return data.from_items(list(parts), override_num_blocks=max(len(parts), 1))


def compression_of(head: bytes) -> str | None:
    """Arrow's name for the compression that a file's first bytes show; None for none."""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def _batches(parts: Any, *, refuse: bool) -> Iterator[Any]:
    for part in parts.to_pylist():
        system, path = located(part["path"])
        end = part["start"]
        watched: Watched | None = None
        failed = False
        try:
            with system.open_input_file(path) as file:
                watched = Watched(file)
                for start, block in _blocks(part["kind"], part["start"], part["end"], watched):
                    yield _table(part["name"], start, block)
                    end = start + len(block)
        except OSError:
            failed = True
        # What is not compressed cannot be broken.
        if failed and (watched is None or watched.failed or not part["kind"]):
            raise not_read(part["number"])
        if failed and refuse:
            yield arrow.Table.from_pylist([{"file": part["name"], "start": end}], schema=LINES)
        elif failed:
            message = "the compressed data of a file are cut off or broken"
            raise MMRawError("source_unavailable", message, f"$[{part['number']}]")
    yield LINES.empty_table()


def _with_faults(block: Any) -> Iterator[Any]:
    """A block whose rows without a line stand for what could not be read."""
    if not block["line"].null_count:
        yield block
        return
    yield block.filter(block["line"].is_valid())
    for batch in block.filter(block["line"].is_null()).to_batches(max_chunksize=1):
        yield Fault(batch["file"][0].as_py(), batch, BROKEN_LINES)


def _blocks(kind: str | None, start: int, end: int, file: Any) -> Iterator[tuple[int, bytes]]:
    if kind is None:
        return _range(file, start, end)
    unpacked = arrow.CompressedInputStream(file, kind)
    return _whole_lines(partial(unpacked.read, BATCH_BYTES), 0)


def _range(file: Any, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines that begin in a range of a file."""
    file.seek(max(start - 1, 0))
    if start:
        start += len(_line(file)) - 1
    left = end - start

    def read() -> bytes:
        nonlocal left
        data = file.read(min(BATCH_BYTES, max(left, 0)))
        left -= len(data)
        if data and not left and data[-1:] != b"\n":
            data += _line(file)
        return data

    yield from _whole_lines(read, start)


def _line(file: Any) -> bytes:
    """The rest of a line, including its end."""
    parts: list[bytes] = []
    while data := file.read(1 << 16):
        end = data.find(b"\n") + 1
        if end:
            file.seek(file.tell() - len(data) + end)
            return b"".join([*parts, data[:end]])
        parts.append(data)
    return b"".join(parts)


def _whole_lines(read: Any, start: int) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, and where each begins."""
    held: list[bytes] = []
    while data := read():
        end = data.rfind(b"\n") + 1
        if not end:
            held.append(data)
            continue
        block = b"".join([*held, data[:end]])
        yield start, block
        start += len(block)
        held = [data[end:]]
    if rest := b"".join(held):
        yield start, rest


def _table(name: str, start: int, block: bytes) -> Any:
    compute: Any = import_module("pyarrow.compute")
    lines = array_of_lines(block.removesuffix(b"\n"))
    sizes = compute.add(compute.binary_length(lines).cast(arrow.int64()), 1)
    starts = compute.add(compute.subtract(compute.cumulative_sum(sizes), sizes), start)
    indices = arrow.repeat(arrow.scalar(0, arrow.int32()), len(lines))
    file = arrow.DictionaryArray.from_arrays(indices, arrow.array([name]))
    return arrow.table([file, starts, lines], schema=LINES)
