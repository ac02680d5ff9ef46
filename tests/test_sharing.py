"""One file for several processes: the same result as one, whatever happens to file and workers."""

import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from mmraw_protocol import MMRawError
from mmraw_protocol.files import MOST_REFUSALS, Checked, check, check_file, reader
from mmraw_protocol.files.ranges import Task, check_range, check_ranges, merge_parts
from mmraw_protocol.wire._generated.limits import DEFAULT_LIMITS

REF = samples.ref()
ITEM = samples.envelope()
GOOD = json.dumps({"ref": REF}).encode()
#: Refused, and long in coming: a file of them keeps workers busy.
BAD = json.dumps("mmraw:v9:x").encode()

lines = st.sampled_from(
    [b"", b"  ", GOOD, BAD, json.dumps(ITEM).encode(), REF.encode(), b'"broken', b"[1, 2]",
     b'{"pad": "' + b"x" * 3000 + b'", "ref": "mmraw:v9:y"}',
        b'{"pad": "' + b"x" * 900 + b'"}]', b"[" * 600 + b"]" * 600, REF.encode() * 3]
)  # fmt: skip
files = st.builds(
    lambda rows, end: b"[]\n" + b"\n".join(rows) + end,
    st.lists(lines, max_size=40),
    st.sampled_from([b"", b"\n", b"\n\n"]),
)


def in_ranges(data: bytes, size: int, seed: int) -> Checked:
    """What ranges of `size` bytes give that are checked in any order."""

    def read_at(count: int, at: int) -> bytes:
        return data[at : at + count]

    ranges = [(start, min(start + size, len(data))) for start in range(0, len(data), size)]
    random.Random(seed).shuffle(ranges)
    parts = [check_range(read_at, *one, len(data), DEFAULT_LIMITS) for one in ranges]
    return merge_parts(parts, len(data))


@given(files, st.integers(1, 5000), st.integers())
def test_ranges_of_any_size_give_what_the_whole_file_gives(
    data: bytes, size: int, seed: int
) -> None:
    size = max(size, len(data) // 300)
    assert in_ranges(data, size, seed) == check(io.BytesIO(data).read)


@given(files, st.integers(1, 5000), st.integers())
def test_a_line_that_is_scanned_belongs_to_the_range_in_which_it_begins(
    data: bytes, size: int, seed: int
) -> None:
    size = max(size, len(data) // 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "LONGEST_LINE", 500)
        assert in_ranges(data, size, seed) == check(io.BytesIO(data).read)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rollouts.jsonl"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The processes that are started; all have ended when the test has."""
    started: list[Any] = []
    start = subprocess.Popen

    def recorded(*args: Any, **options: Any) -> Any:
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)
    yield started
    assert all(worker.returncode is not None for worker in started)


def shared(
    path: Path, range_bytes: int = 2000, processes: int = 2, progress: Any = None
) -> Checked:
    """What several processes find; they start however short the file is."""
    with path.open("rb", buffering=1 << 20) as source:
        return check_file(
            source, processes=processes, progress=progress, range_bytes=range_bytes, start_seconds=0
        )


def once(action: Callable[[], object]) -> Callable[[int], None]:
    """A progress callback that does something when it is first called."""
    actions = [action]

    def act(done: int) -> None:
        if actions:
            actions.pop()()

    return act


def with_patience(path: Path, action: Callable[[], object] = lambda: None) -> Checked:
    """What two processes find: this one goes on when the other has taken a range behind its own."""
    calls: list[int] = []
    with path.open("rb") as source:
        file, size = source.fileno(), path.stat().st_size

        def wait(done: int) -> None:
            if not calls:
                action()
            calls.append(done)
            while 1 < len(calls) < 4 and os.lseek(file, 0, os.SEEK_CUR) <= done < size:
                pass

        return check_file(source, processes=2, progress=wait, range_bytes=2000, start_seconds=0)


@settings(max_examples=8)
@given(st.lists(lines, min_size=20, max_size=400), st.integers(1000, 9000), st.integers(2, 3))
def test_any_number_of_processes_finds_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], range_bytes: int, processes: int
) -> None:
    data = b"[]\n" + b"\n".join(rows * 3)
    path = tmp_path_factory.mktemp("shared") / "rollouts.jsonl"
    path.write_bytes(data)
    assert shared(path, range_bytes, processes) == check(io.BytesIO(data).read)


def test_the_first_refusals_are_named_in_the_order_of_the_file(
    file: Path, workers: list[Any]
) -> None:
    file.write_bytes((GOOD + b"\n" + BAD + b"\n") * 5000)
    checked = with_patience(file)
    assert checked.counts == {"ref": 10000}
    assert checked.refused == {"unsupported_dialect": 5000}
    assert [one.line for one in checked.refusals] == list(range(2, 202, 2))
    assert len(workers) == 1


def test_lines_that_are_longer_than_a_block_are_shared(file: Path, workers: list[Any]) -> None:
    long = b'{"pad": "' + b"x" * 9_000_000 + b'", "a": ["' + REF.encode() + b'", "mmraw:v9:x"]}'
    file.write_bytes(b"\n".join([BAD, long, GOOD, long + b"}", GOOD, long]))
    with file.open("rb") as source:
        assert shared(file, 1 << 20) == check(source.read)
    assert len(workers) == 1


def test_one_document_over_many_lines_is_read_by_one_process(
    file: Path, workers: list[Any]
) -> None:
    file.write_text(json.dumps({"rows": [REF] * 100}, indent=1))
    assert shared(file).counts == {"ref": 100}
    assert not workers


def test_a_small_file_starts_no_worker(file: Path, workers: list[Any]) -> None:
    file.write_bytes(b"")
    assert shared(file) == Checked()
    file.write_bytes((GOOD + b"\n") * 500)
    with file.open("rb") as source:
        assert check_file(source, processes=8).counts == {"ref": 500}
    assert not workers


def test_progress_moves_on_until_the_end(file: Path) -> None:
    file.write_bytes((BAD + b"\n") * 3000)
    size = file.stat().st_size
    done: list[int] = []
    with file.open("rb") as source:

        def note(count: int) -> None:
            done.append(count)
            # The last ranges are the worker's, and are told of as well.
            while len(done) == 4 and os.lseek(source.fileno(), 0, os.SEEK_CUR) < size:
                pass

        check_file(source, processes=2, progress=note, range_bytes=200, start_seconds=0)
    assert done == sorted(done)
    # How many ranges the worker is quick enough for is the machine's.
    assert len(done) >= 3
    assert done[-1] == size


def test_a_worker_that_ends_is_an_error(
    file: Path, workers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen

    def started_and_killed(*args: Any, **options: Any) -> Any:
        worker = start(*args, **options)
        worker.kill()
        return worker

    monkeypatch.setattr(subprocess, "Popen", started_and_killed)
    file.write_bytes((BAD + b"\n") * 20_000)
    calls: list[int] = []
    with pytest.raises(MMRawError) as caught:
        shared(file, progress=calls.append)
    assert caught.value.code == "decoder_unavailable"
    assert len(workers) == 1
    # It shows at once, and not when all is done.
    assert calls[-1] < file.stat().st_size / 2
    # In the end it is missed as well.
    file.write_bytes((BAD + b"\n") * 20)
    with pytest.raises(MMRawError) as caught:
        shared(file, range_bytes=len(BAD) * 11)
    assert caught.value.code == "decoder_unavailable"


def test_a_worker_that_does_not_start_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes((BAD + b"\n") * 1000)
    for program in ("/bin/false", "/missing/python"):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(MMRawError) as caught:
            shared(file)
        assert caught.value.code == "decoder_unavailable"


def test_what_was_added_to_the_file_is_checked_too(file: Path, workers: list[Any]) -> None:
    file.write_bytes((GOOD + b"\n") * 500 + b'{"a": ')
    more = b"[]}\n" + (BAD + b"\n") * 5

    def add() -> None:
        with file.open("ab") as target:
            target.write(more)

    checked = shared(file, progress=once(add))
    assert checked.counts == {"ref": 505}
    assert [one.line for one in checked.refusals] == [502, 503, 504, 505, 506]
    assert len(workers) == 1


@pytest.mark.parametrize("left", [0, 100_000])
def test_a_file_that_becomes_shorter_is_refused(left: int, file: Path, workers: list[Any]) -> None:
    file.write_bytes((GOOD + b"\n") * 5000)
    with pytest.raises(MMRawError) as caught:
        shared(file, progress=once(lambda: os.truncate(file, left)))
    assert caught.value.code == "source_unavailable"
    assert "shorter" in caught.value.message


def test_a_file_that_cannot_be_read_on_is_refused() -> None:
    def read_at(size: int, at: int) -> bytes:
        raise OSError(5, "Input/output error")

    part = check_range(read_at, 100, 200, 300, DEFAULT_LIMITS)
    with pytest.raises(MMRawError) as caught:
        merge_parts([part], 300)
    assert caught.value.code == "source_unavailable"


def test_missing_ranges_are_no_result() -> None:
    def read_at(size: int, at: int) -> bytes:
        return (b"1\n" * 200)[at : at + size]

    parts = [check_range(read_at, at, at + 100, 300, DEFAULT_LIMITS) for at in (0, 100, 200)]
    for some in (parts[1:], parts[:2], parts[::2]):
        with pytest.raises(MMRawError) as caught:
            merge_parts(some, 300)
        assert caught.value.code == "decoder_unavailable"


def test_no_more_refusals_are_kept_than_a_report_names(file: Path) -> None:
    file.write_bytes((BAD + b"\n") * 5000)
    with file.open("rb") as source:
        task = Task(source.fileno(), file.stat().st_size, 1000, DEFAULT_LIMITS)
        parts = [*check_ranges(task)]
    assert sum(part.checked.refused["unsupported_dialect"] for part in parts) == 5000
    assert MOST_REFUSALS <= sum(len(part.checked.refusals) for part in parts) < 2 * MOST_REFUSALS


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="no such file here")
def test_a_file_that_is_made_up_as_it_is_read_is_read_to_its_end() -> None:
    assert shared(Path("/proc/version")).refused == {"invalid_json": 1}


def test_another_file_in_its_place_is_not_read(file: Path, workers: list[Any]) -> None:
    file.write_bytes((BAD + b"\n") * 3000)
    other = file.with_name("other")
    other.write_bytes((GOOD + b"\n") * 3000)
    checked = with_patience(file, lambda: other.replace(file))
    assert checked.refused == {"unsupported_dialect": 3000}
    assert len(workers) == 1


def test_an_interrupted_check_ends_its_workers(file: Path, workers: list[Any]) -> None:
    file.write_bytes((BAD + b"\n") * 10_000)

    def interrupt(done: int) -> None:
        if workers:
            # Ctrl-C in a terminal goes to this process alone: the worker has nothing to say to it.
            assert os.getsid(workers[0].pid) != os.getsid(0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared(file, progress=interrupt)
    assert len(workers) == 1


#: It is killed when the worker has taken the range behind its own second one.
_KILLED = """
import os, signal, sys
from mmraw_protocol.files import check_file

def kill(done):
    seen.append(done)
    while len(seen) > 1:
        if os.lseek(source.fileno(), 0, os.SEEK_CUR) > done:
            os.kill(os.getpid(), signal.SIGKILL)

seen = []
with open(sys.argv[1], "rb") as source:
    check_file(source, processes=2, progress=kill, start_seconds=0)
"""


def test_workers_end_with_the_process_that_asks(file: Path) -> None:
    file.write_bytes((GOOD + b"\n") * ((2 << 20) // len(GOOD)) + (BAD + b"\n") * 50_000)
    parent = subprocess.Popen([sys.executable, "-c", _KILLED, file], stderr=subprocess.PIPE)
    # The worker holds the same standard error: it ends when both have ended.
    _, errors = parent.communicate(timeout=60)
    assert (parent.returncode, errors) == (-signal.SIGKILL, b"")


def test_what_was_read_before_is_not_checked(file: Path, workers: list[Any]) -> None:
    file.write_bytes((BAD + b"\n") * 2000)
    with file.open("rb") as source:
        source.readline()
        checked = check_file(source, processes=2, range_bytes=2000, start_seconds=0)
    assert checked.counts == {"ref": 1999}


def test_standard_input_gives_what_a_file_gives(file: Path) -> None:
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
