"""This process and others work on the blocks of one input; results come in the input's order.

A block and its result lie in files that both processes hold open, in memory where the system has
such; pipes only tell that one is there. So nobody waits for another one to read.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..images.worker_start import reason_of
from ..system.descriptors import shared_file
from ..system.forks import forget_after_fork
from ..wire.errors import MMRawError
from .crew_worker import Setup, put, take
from .processes import does_not_start, ended_early, start_worker
from .reader import Block, LineReader

if TYPE_CHECKING:
    from ..system.descriptors import Descriptor

R = TypeVar("R")

#: Blocks that one process has at once: one that it works on, and the next.
_SLOTS = 2


class Crew(Generic[R]):
    """Works on blocks of lines, together with other processes.

    Args:
        reader: Gives the blocks.
        work: What this process does with a block; also with one whose line is not whole.
        open_work: Gives what another process does with one; it can be pickled.
        processes: How many work, this one among them.
    """

    def __init__(
        self,
        reader: LineReader,
        work: Callable[[Block], R],
        open_work: Callable[[], Callable[[Block], R]],
        processes: int,
    ) -> None:
        self._reader = reader
        self._work = work
        self._open_work = open_work
        self._most = (_SLOTS + 1) * processes
        # Systems without such files have one process.
        self._others = processes - 1 if hasattr(os, "pread") else 0
        self._mates: list[_Mate] = []
        self._waiting: deque[tuple[Block, Callable[[bool], bool], Callable[[], R]]] = deque()

    def __enter__(self) -> Crew[R]:
        return self

    def __exit__(self, *_: object) -> None:
        for mate in self._mates:
            mate.stop()

    def results(self) -> Iterator[tuple[Block, R]]:
        """Each block with what became of it.

        Raises:
            MMRawError: decoder_unavailable, where another process ended early.
            Exception: What the work raises, here or there.
        """
        while True:
            self._hand_out()
            own = self._own_block()
            if own is None and not self._waiting:
                return
            is_needed = own is None
            while self._waiting and self._waiting[0][1](is_needed):
                block, _, result = self._waiting.popleft()
                is_needed = False
                yield block, result()

    def give_back(self) -> None:
        """Puts the blocks whose results were not given yet back into the reader."""
        blocks = [block for block, _, _ in self._waiting]
        for _, is_there, result in self._waiting:
            is_there(True)
            result()
        self._waiting.clear()
        if blocks:
            self._reader.unread(b"".join(block.data for block in blocks), blocks[0].line)

    def _hand_out(self) -> None:
        for mate in self._mates:
            while mate.is_free() and (block := self._reader.next_block()):
                if not block.whole:
                    self._do(block)
                    return
                mate.give(block)
                self._waiting.append((block, mate.has_answered, mate.answer))

    def _own_block(self) -> Block | None:
        """A block that this process has worked on, if more results may wait."""
        if len(self._waiting) >= self._most:
            return None
        block = self._reader.next_block()
        if block is None:
            return None
        self._do(block)
        # Others start behind the first block: little is done sooner alone.
        while len(self._mates) < self._others:
            self._mates.append(_Mate(self._open_work))
        return block

    def _do(self, block: Block) -> None:
        result = self._work(block)
        self._waiting.append((block, lambda _: True, lambda: result))


class _Mate:
    """Another process."""

    def __init__(self, open_work: Callable[[], Callable[[Block], Any]]) -> None:
        self._files: list[Descriptor] = []
        self._given = self._answered = 0
        #: Answers that are there and were not taken; before it is ready, one less than none.
        self._answers = -1
        failed: MMRawError | None = None
        try:
            for _ in range(2 * _SLOTS):
                self._files.append(shared_file("mmraw-block"))
            numbers = [file.number for file in self._files]
            setup = Setup(numbers[:_SLOTS], numbers[_SLOTS:])
            self._process = start_worker("crew_worker", setup, numbers)
        except MMRawError as error:
            failed = error
        except OSError as error:
            failed = does_not_start(reason_of(error))
        if failed is not None:
            self._close_files()
            raise failed
        forget_after_fork(self)
        self._send(self._files[0], open_work)

    def forget(self) -> None:
        """In the child of a fork: the process is the parent's, and ends with the parent."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._close_files()

    def is_free(self) -> bool:
        """Whether it is there and has room for a block."""
        self._receive(wait=False)
        return self._answers >= 0 and self._given - self._answered < _SLOTS

    def give(self, block: Block) -> None:
        """Gives it a block."""
        self._send(self._files[self._given % _SLOTS], block)
        self._given += 1

    def has_answered(self, wait: bool) -> bool:
        """Whether the next answer is there."""
        while self._answers <= 0 and wait:
            self._receive(wait=True)
        self._receive(wait=False)
        return self._answers > 0

    def answer(self) -> Any:
        """The next answer.

        Raises:
            Exception: Whatever was raised there.
        """
        is_result, value = take(self._files[_SLOTS + self._answered % _SLOTS].number)
        self._answered += 1
        self._answers -= 1
        if not is_result:
            raise value
        return value

    def stop(self) -> None:
        """Ends the process."""
        with self._process:
            self._process.kill()
        self._close_files()

    def _close_files(self) -> None:
        for file in self._files:
            file.close()

    def _send(self, file: Descriptor, value: object) -> None:
        assert self._process.stdin is not None
        reason = ""
        try:
            put(file.number, value)
            self._process.stdin.write(b"\n")
            return
        except OSError as error:
            reason = reason_of(error)
        raise ended_early(reason)

    def _receive(self, *, wait: bool) -> None:
        """Counts the answers that came."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        if not wait and not select.select([pipe], [], [], 0)[0]:
            return
        part = os.read(pipe, 1 << 12)
        if not part:
            raise ended_early()
        self._answers += len(part)
