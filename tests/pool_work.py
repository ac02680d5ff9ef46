"""Work of the workers of tests/test_pool.py on a block."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from mmraw_protocol import MMRawError
from mmraw_protocol.files.reader import Block

Result = tuple[int, int, bytes]


def told(block: Block) -> Result:
    """Returns the id of the process that worked on the block, and the block."""
    return os.getpid(), block.line, block.data


def open_told() -> Callable[[Block], Result]:
    return told


def told_if_short(block: Block) -> Result | None:
    return told(block) if len(block.data) < 900 else None


def open_told_if_short() -> Callable[[Block], Result | None]:
    return told_if_short


def open_refusing() -> Callable[[Block], Result]:
    def work(block: Block) -> Result:
        raise MMRawError("limit_exceeded", "rejected by a worker")

    return work


def open_dying() -> Callable[[Block], Result]:
    def work(block: Block) -> Result:
        os._exit(3)

    return work


def open_nothing() -> Callable[[Block], Result]:
    os._exit(3)


class Grown(NamedTuple):
    """A result that says that it is large."""

    new_size: int


def open_grown() -> Callable[[Block], Grown]:
    return lambda block: Grown(1 << 30)


class Made(msgspec.Struct):
    """A result with bytes, and the process that made it."""

    data: Any
    pid: int = 0

    @classmethod
    def of(cls, block: Block) -> "Made":
        return cls(block.data, os.getpid())


def open_made() -> Callable[[Block], Made]:
    return Made.of
