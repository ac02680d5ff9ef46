"""Workers that share the lines of one input: the result of one process, in the input's order."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pool_work
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import picture
from pool_work import Made, Result

from mmraw_protocol import MMRawError, open_store
from mmraw_protocol.files import ConvertJob, Counts, InlineJob, StoreSpec, check, rewrite
from mmraw_protocol.files.handed import hand_over, taken
from mmraw_protocol.files.pool import worked
from mmraw_protocol.files.reader import Block, LineReader, PlainFile

REF = samples.ref()
GOOD = json.dumps({"ref": REF}).encode()
BAD = json.dumps("mmraw:v9:x").encode()
LINE = b'{"a":1}\n'


def results(
    reader: LineReader,
    open_work: Callable[[], Callable[[Block], Result | None]] = pool_work.open_told,
    processes: int = 2,
) -> list[tuple[Block, Result | None]]:
    return list(worked(reader, pool_work.told_if_short, open_work, processes, start_seconds=0))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_the_order_of_the_input(processes: int) -> None:
    line, pids = 1, set[int]()
    data = LINE * 10_000
    for block, result in results(LineReader(io.BytesIO(data).read, block=800), processes=processes):
        assert result is not None
        pid, first, seen = result
        assert (block.line, block.data) == (first, seen) == (line, seen)
        line += seen.count(b"\n")
        pids.add(pid)
    assert line == 10_001
    assert os.getpid() in pids
    assert (len(pids) > 1) == (processes > 1)
    for pid in pids - {os.getpid()}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_short_input_starts_no_worker() -> None:
    reader = LineReader(io.BytesIO(LINE * 1000).read, block=800)
    found = worked(reader, pool_work.told, pool_work.open_nothing, 2, start_seconds=60)
    assert {result[0] for _, result in found if result} == {os.getpid()}


def test_a_block_without_a_result_is_read_by_the_caller_with_what_belongs_to_it() -> None:
    long = b'"' + b"x" * 2000 + b'"\n'
    data = (LINE * 300 + long + LINE * 7) * 5
    reader = LineReader(io.BytesIO(data).read, block=800)
    seen = b""
    open_work = pool_work.open_told_if_short
    for block, result in worked(reader, pool_work.told_if_short, open_work, 2, start_seconds=0):
        assert block.line == seen.count(b"\n") + 1
        seen += block.data
        if result is None:
            rest = reader.read(100)
            seen += rest
            reader.unread(b"", block.line + (block.data + rest).count(b"\n"))
            more = reader.next_block()
            seen += more.data if more else b""
    assert seen == data


def test_a_line_that_is_too_long_for_a_block_has_no_result() -> None:
    data = LINE * 500 + b'"' + b"x" * (9 << 20) + b'"\n' + LINE
    found = results(LineReader(io.BytesIO(data).read, block=800))
    assert [block.whole for block, result in found if result is None][:1] == [False]
    assert b"".join(block.data for block, _ in found) == data


def test_what_a_worker_raises_is_raised_here() -> None:
    with pytest.raises(MMRawError) as caught:
        results(LineReader(io.BytesIO(LINE * 1000).read, block=800), pool_work.open_refusing)
    assert str(caught.value) == "limit_exceeded at $: rejected by a worker"


def test_what_this_process_raises_waits_for_the_blocks_before() -> None:
    lines: list[int] = []

    def refused_here(block: Block) -> Result:
        if block.line > 1:
            raise MMRawError("limit_exceeded", "rejected here")
        return pool_work.told(block)

    reader = LineReader(io.BytesIO(LINE * 1000).read, block=800)
    found = worked(reader, refused_here, pool_work.open_told, 2, start_seconds=0)

    def read() -> None:
        for block, _ in found:
            lines.append(block.line)

    with pytest.raises(MMRawError, match="rejected here"):
        read()
    assert lines == list(range(1, 1 + 100 * len(lines), 100))
    assert len(lines) > 3


def test_what_is_held_is_bounded_by_its_bytes() -> None:
    taken = yielded = most = 0

    def read(size: int) -> bytes:
        nonlocal taken
        taken += 1
        return source.read(size)

    source = io.BytesIO(LINE * 10_000)
    reader = LineReader(read, block=800)
    open_grown = pool_work.open_grown
    for _, result in worked(reader, open_grown(), open_grown, 2, start_seconds=0):
        assert result is not None
        yielded += 1
        most = max(most, taken - yielded)
    assert yielded == 100
    # Three blocks wait for the worker, one is done here, and parts of two are in the reader.
    assert most <= 6


def test_blocks_are_short_where_images_come_back(tmp_path: Path) -> None:
    store = open_store(tmp_path / "images", create=True)
    name = store.put(picture("RGB", (100, 100), "PNG", compress_level=0))
    text = f'{{"image":"{store.url(name)}"}}\n'.encode() * 1000
    pieces: list[int] = []
    job = InlineJob(store=StoreSpec(str(tmp_path / "images")))
    report = rewrite(io.BytesIO(text).read, lambda data: pieces.append(len(data)), job)
    assert report.changed == 1000
    assert report.bytes_written == sum(pieces) > 100 * len(text)
    assert max(pieces) < 3 << 20


def test_workers_hand_over_many_bytes_in_files(tmp_path: Path) -> None:
    many, few = b"x" * 100_000, b"x" * 1000
    made = hand_over(Made(many), str(tmp_path))
    assert list(tmp_path.iterdir()) == [made.data]
    assert taken(made).data == many
    assert list(tmp_path.iterdir()) == []
    for data, folder in ((few, tmp_path), (many, None), (many, tmp_path / "missing")):
        assert hand_over(Made(data), folder and str(folder)).data == data
    made = hand_over(Made(many), str(tmp_path))
    made.data.unlink()
    with pytest.raises(MMRawError, match="worker's file") as caught:
        taken(made)
    assert caught.value.code == "source_unavailable"


@pytest.mark.parametrize("place", [".", "missing"])
def test_results_of_many_bytes_are_whole_and_leave_no_file(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / place))
    reader = LineReader(io.BytesIO(LINE * 1_000_000).read, block=400_000)
    found = list(worked(reader, Made.of, pool_work.open_made, 2, start_seconds=0))
    assert all(made is not None and made.data == block.data for block, made in found)
    assert len({made.pid for _, made in found if made}) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_work", [pool_work.open_dying, pool_work.open_nothing])
def test_a_worker_that_dies_is_an_error(open_work: Callable[[], Callable[[Block], Result]]) -> None:
    with pytest.raises(MMRawError) as caught:
        results(LineReader(io.BytesIO(LINE * 1000).read, block=800), open_work)
    assert caught.value.code == "decoder_unavailable"


@pytest.mark.parametrize("program", ["/bin/false", "/missing/python"])
def test_a_worker_that_does_not_start_is_an_error(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.spawn._python_exe", os.fsencode(program))
    with pytest.raises(MMRawError) as caught:
        results(LineReader(io.BytesIO(LINE * 1000).read, block=800))
    assert caught.value.code == "decoder_unavailable"


lines = st.sampled_from(
    [b"", b"  ", GOOD, BAD, json.dumps(samples.envelope()).encode(), REF.encode(), b'"broken',
     b"[1, 2]", b'{"pad": "' + b"x" * 3000 + b'", "ref": "mmraw:v9:y"}',
     b'{"pad": "' + b"x" * 900 + b'"}]', b"[" * 600 + b"]" * 600, REF.encode() * 3]
)  # fmt: skip


@settings(max_examples=4)
@given(st.lists(lines, min_size=20, max_size=400), st.integers(300, 9000))
def test_checking_finds_the_same_on_any_number_of_processes(rows: list[bytes], block: int) -> None:
    data = b"[]\n" + b"\n".join(rows * 3)

    def checked(processes: int) -> Counts:
        read = io.BytesIO(data).read
        return check(read, processes=processes, block=block, start_seconds=0)

    assert checked(2) == checked(1)


def test_rewriting_gives_the_same_on_any_number_of_processes() -> None:
    ref = samples.ref(dialect="v2")
    line = f'{{"here":["{ref}"]}}\n'.encode()
    # A document over many lines in the middle, and a string that is refused near the end.
    spread = line.replace(b",", b",\n").replace(b"[", b"[\n")
    text = line * 4000 + spread + line * 4000 + spread * 3 + b'"mmraw:v9:"\n' + line * 100

    def rewritten(processes: int) -> tuple[bytes, object]:
        out = bytearray()
        report = rewrite(
            io.BytesIO(text).read, out.extend, ConvertJob(to="v3"),
            on_error="keep", processes=processes, block=3000, start_seconds=0,
        )  # fmt: skip
        return bytes(out), report

    alone = rewritten(1)
    assert alone[0].count(b"mmraw:v3:") == 8104
    assert rewritten(2) == alone


def test_the_first_refusals_are_named_in_the_order_of_the_file() -> None:
    read = io.BytesIO((GOOD + b"\n" + BAD + b"\n") * 5000).read
    checked = check(read, processes=2, block=2000, start_seconds=0)
    assert checked.counts == {"ref": 10000}
    assert checked.refused == {"unsupported_dialect": 5000}
    assert [one.line for one in checked.refusals] == list(range(2, 202, 2))


#: It is killed when workers have answered.
_KILLED = """
import io, os, signal, sys
from mmraw_protocol.files.pool import worked
from mmraw_protocol.files.reader import LineReader
import pool_work

if __name__ == "__main__":
    reader = LineReader(io.BytesIO(b"1\\n" * 100_000).read, block=100)
    for _, (pid, _, _) in worked(reader, pool_work.told, pool_work.open_told, 2, start_seconds=0):
        if pid != os.getpid():
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_the_process_that_asks_and_leave_nothing(tmp_path: Path) -> None:
    program = [sys.executable, "-c", _KILLED]
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": tests, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(program, stdout=subprocess.PIPE, env=environment)
    # The workers hold the same standard output: it ends when all have ended.
    output, _ = parent.communicate(timeout=60)
    assert (parent.returncode, output) == (-signal.SIGKILL, b"")
    assert list(tmp_path.iterdir()) == []


def plain_of(path: Path) -> PlainFile:
    status = path.stat()
    return PlainFile(str(path), status.st_dev, status.st_ino)


def test_workers_read_the_blocks_of_a_plain_file_themselves(tmp_path: Path) -> None:
    data = b"".join(b'{"a":%d}\n' % number for number in range(10_000))
    file = tmp_path / "rollouts.jsonl"
    file.write_bytes(data)
    source = io.BytesIO(data.replace(b"a", b"b"))
    found = results(LineReader(source.read, block=800, plain=plain_of(file)))
    seen = {
        own: b"".join(r[2] for _, r in found if r and (r[0] == os.getpid()) is own)
        for own in (True, False)
    }
    assert b"a" not in seen[True]
    assert b"b" not in seen[False]
    assert seen[False]
    told = b"".join(result[2] for _, result in found if result)
    assert told.replace(b"b", b"a") == data


@pytest.mark.parametrize("change", ["replaced", "cut off", "gone"])
def test_a_file_that_is_another_one_meanwhile_is_refused(tmp_path: Path, change: str) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_bytes(LINE * 10_000)
    plain = plain_of(file)
    if change == "cut off":
        os.truncate(file, 100)
    else:
        file.rename(tmp_path / "old.jsonl")
    if change == "replaced":
        file.write_bytes(LINE * 10_000)
    reader = LineReader(io.BytesIO(LINE * 10_000).read, block=800, plain=plain)
    with pytest.raises(MMRawError) as error:
        results(reader)
    assert error.value.code == "source_unavailable"


def test_standard_input_gives_what_a_file_gives(tmp_path: Path) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_bytes((BAD + b"\n" + GOOD + b"\n") * 2000)
    command = [sys.executable, "-m", "mmraw_protocol.cli", "validate", "--json"]
    reports: list[bytes] = []
    for processes in ("1", "2"):
        call = [*command, "-p", processes]
        with file.open("rb") as source:
            done = subprocess.run(call, stdin=source, capture_output=True, check=False)
        piped = subprocess.run(call, input=file.read_bytes(), capture_output=True, check=False)
        assert (done.returncode, piped.returncode, done.stderr + piped.stderr) == (1, 1, b"")
        reports += [done.stdout, piped.stdout]
    assert json.loads(reports[0])["checked"] == {"ref": 4000}
    assert len(set(reports)) == 1
