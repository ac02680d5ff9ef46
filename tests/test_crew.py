"""Processes that work on the blocks of one input together."""

import os
from collections.abc import Callable, Iterator

import crew_work
import pytest
from crew_work import Result

from mmraw_protocol import MMRawError
from mmraw_protocol.files import ConvertJob, rewrite
from mmraw_protocol.files.crew import Crew
from mmraw_protocol.files.reader import Block, LineReader
from mmraw_protocol.testing import ref_text

LINE = b'{"a":1}\n'


class Endless:
    """Lines without end, until somebody has seen enough; then what is left."""

    def __init__(self, *rest: bytes) -> None:
        self.is_enough = False
        self._rest = iter(rest)
        self._reads = 0

    def read(self, size: int) -> bytes:
        self._reads += 1
        assert self._reads < 200_000, "nobody has seen enough"
        return next(self._rest, b"") if self.is_enough else LINE * (size // len(LINE))


def crew_of(
    source: Endless, open_work: Callable[[], Callable[[Block], Result]], processes: int = 2
) -> Crew[Result]:
    return Crew(LineReader(source.read, block=800), crew_work.told, open_work, processes)


def results_until_another(
    crew: Crew[Result], source: Endless, most: int = 50
) -> Iterator[tuple[Block, Result]]:
    """All results up to `most` of other processes, and those that were under way."""
    others = 0
    for block, result in crew.results():
        yield block, result
        others += result[0] != os.getpid()
        source.is_enough = others >= most


@pytest.mark.parametrize("processes", [2, 3])
def test_results_come_in_the_order_of_the_input_in_whatever_process(processes: int) -> None:
    source, line, pids = Endless(), 1, set[int]()
    with crew_of(source, crew_work.open_told, processes) as crew:
        for block, (pid, first, data) in results_until_another(crew, source):
            assert (block.line, block.data) == (first, data) == (line, data)
            line += data.count(b"\n")
            pids.add(pid)
    assert {os.getpid()} < pids
    for pid in pids - {os.getpid()}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_blocks_that_are_given_back_are_read_again() -> None:
    source, line, given_back = Endless(), 1, 0
    with crew_of(source, crew_work.open_told) as crew:
        for block, (pid, first, data) in results_until_another(crew, source):
            assert (block.line, block.data, first) == (line, data, line)
            line += data.count(b"\n")
            if pid != os.getpid():
                crew.give_back()
                given_back += 1
    assert given_back >= 50


def test_a_long_line_is_worked_on_by_this_process() -> None:
    source = Endless(b'"' + b"x" * (9 << 20), b'"\n' + LINE)
    with crew_of(source, crew_work.open_told) as crew:
        whole = [(block.whole, pid) for block, (pid, _, _) in results_until_another(crew, source)]
    assert {pid for is_whole, pid in whole if not is_whole} == {os.getpid()}


def test_what_another_process_raises_is_raised_here() -> None:
    source = Endless()
    with crew_of(source, crew_work.open_refusing) as crew, pytest.raises(MMRawError) as caught:
        list(crew.results())
    assert str(caught.value) == "limit_exceeded at $: refused by another process"


@pytest.mark.parametrize("open_work", [crew_work.open_dying, crew_work.open_nothing])
def test_a_process_that_dies_is_an_error(
    open_work: Callable[[], Callable[[Block], Result]],
) -> None:
    with crew_of(Endless(), open_work) as crew, pytest.raises(MMRawError) as caught:
        list(crew.results())
    assert caught.value.code == "decoder_unavailable"


def test_rewriting_gives_the_same_on_any_number_of_processes() -> None:
    ref = ref_text(
        {
            "run_id": "r", "family": "qwen_vl", "fingerprint": "0" * 16, "modality": "image",
            "mm_hash": "1" * 16, "raw_image_id": "a.png",
            "payload": {"image_grid_thw": [[1, 2, 2]]},
        },
        "v2",
    )  # fmt: skip
    line = f'{{"here":["{ref}"]}}\n'.encode()
    # A document over many lines in the middle, and a string that is refused near the end.
    spread = line.replace(b",", b",\n").replace(b"[", b"[\n")
    text = line * 4000 + spread + line * 4000 + spread * 3 + b'"mmraw:v9:"\n' + line * 100

    def rewritten(processes: int) -> tuple[bytes, object]:
        at, out = 0, bytearray()

        def read(size: int) -> bytes:
            nonlocal at
            at += size
            return text[at - size : at]

        report = rewrite(
            read, out.extend, ConvertJob(to="v3"), on_error="keep", processes=processes, block=3000
        )
        return bytes(out), report

    alone = rewritten(1)
    assert alone[0].count(b"mmraw:v3:") == 8104
    assert rewritten(2) == alone
    assert rewritten(3) == alone
