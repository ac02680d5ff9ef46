"""A process that works on blocks beside another one; `crew.py` starts it, nobody else."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator

import msgspec


class Setup(msgspec.Struct):
    """What a worker is told when it starts: the files of its slots."""

    blocks: list[int]
    results: list[int]


def main(text: str) -> None:
    """Works on what it is given until there is no more.

    The first thing that it is given opens the work; then blocks follow, slot by slot.
    """
    setup = msgspec.json.decode(text, type=Setup)
    lengths = _lengths()
    work = pickle.loads(take(setup.blocks[0], next(lengths)))()
    os.write(1, b"\n")
    for number, length in enumerate(lengths):
        slot = number % len(setup.blocks)
        try:
            block = pickle.loads(take(setup.blocks[slot], length))
            answer = (True, work(block))
        except Exception as error:  # noqa: BLE001 (the parent raises it)
            answer = (False, error)
        data = pickle.dumps(answer)
        write(setup.results[slot], data)
        os.write(1, b"%d\n" % len(data))


def _lengths() -> Iterator[int]:
    """The numbers that come, line by line; none when the other process is gone."""
    buffer = b""
    while part := os.read(0, 1 << 12):
        *lines, buffer = (buffer + part).split(b"\n")
        yield from map(int, lines)


def shared_file() -> int:
    """A file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mmraw-block")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def write(descriptor: int, data: bytes) -> None:
    """Puts data at the beginning of a file."""
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(descriptor, view[at:], at)


def take(descriptor: int, size: int) -> bytes:
    """So many bytes from the beginning of a file."""
    return os.pread(descriptor, size, 0)
