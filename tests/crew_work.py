"""What the other processes of tests/test_crew.py do with a block."""

import os
from collections.abc import Callable

from mmraw_protocol import MMRawError
from mmraw_protocol.files.reader import Block

Result = tuple[int, int, bytes]


def told(block: Block) -> Result:
    """Who worked on the block, and the block."""
    return os.getpid(), block.line, block.data


def open_told() -> Callable[[Block], Result]:
    return told


def open_refusing() -> Callable[[Block], Result]:
    def work(block: Block) -> Result:
        raise MMRawError("limit_exceeded", "refused by another process")

    return work


def open_dying() -> Callable[[Block], Result]:
    def work(block: Block) -> Result:
        os._exit(3)

    return work


def open_nothing() -> Callable[[Block], Result]:
    os._exit(3)
