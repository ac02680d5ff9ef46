"""Asking an implementation every vector, whatever it does.

Requests are sent ahead, which keeps a pipe full. Whenever an answer is missing or not the one that
is due, the process is ended and what was under way is asked again, one at a time from a fresh
process. A vector is marked failed only if it fails there too.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from .answers import AnswerError, Outcome, judge, outcome, read_answer, read_start, shown
from .child import ENDED, LATE, TOO_LONG, Child, Event
from .harness import PROTOCOL_VERSION
from .vectors import Vector, expand, workspace

_WINDOW = 64
_WINDOW_BYTES = 1 << 20
_START_ATTEMPTS = 3
#: After so many faults that no vector is to blame for, requests are no longer sent ahead.
_FAULTS_AHEAD = 3
_EVENTS: dict[Event, str] = {ENDED: "crashed", LATE: "no_answer", TOO_LONG: "too_long"}


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Attributes:
        timeout: Seconds for one answer, and for the end after `stop`.
        start_timeout: Seconds for the answer to `start`.
        jobs: Processes of the implementation at the same time.
        strict_codes: A refusal with another error code counts as failed.
        keep_answers: Every outcome has the answer that it judges.
        max_restarts: Starts, for each job, after which what is left is errored (`not_run`).
    """

    timeout: float = 10.0
    start_timeout: float = 60.0
    jobs: int = 1
    strict_codes: bool = False
    keep_answers: bool = False
    max_restarts: int = 1000


@dataclass(frozen=True)
class Fault:
    """A fault of the run as a whole: `kind` is one of `FAULTS`, `detail` is of the first time."""

    kind: str
    detail: str
    times: int = 1


@dataclass(frozen=True)
class Report:
    """A whole run: outcomes in the order of the vectors."""

    implementation: dict[str, Any]
    outcomes: tuple[Outcome, ...]
    faults: tuple[Fault, ...]
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Vectors by status, each status named."""
        found = Counter(outcome.status for outcome in self.outcomes)
        return {name: found[name] for name in ("passed", "failed", "skipped", "errored")}


class StartError(Exception):
    """The implementation gave no right answer to `start`; `reason`, detail and its last words."""

    def __init__(self, reason: str, detail: str, stderr: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.stderr = stderr


def _ignore(_: Outcome) -> None:
    return


def run(
    command: Sequence[str],
    vectors: Sequence[Vector],
    options: Options | None = None,
    progress: Callable[[Outcome], None] = _ignore,
    folder: Path | None = None,
) -> Report:
    """Asks `command` every vector.

    Args:
        command: Program and arguments; it is started without a shell, in the working directory.
        vectors: What to ask.
        options: Limits.
        progress: Told each outcome, in the order in which they come.
        folder: Of the files that the vectors name; the package's own by default.

    Raises:
        StartError: there is no such command, or no start was answered rightly.
    """
    chosen = options or Options()
    begun = time.monotonic()
    with workspace(folder) as files:
        job = _Job(tuple(command), chosen, files, _most_line(vectors), progress)
        # The first start is the run's own: nothing is asked of what cannot start.
        first = job.start()
        asked = [case for case in enumerate(vectors) if case[1].op in job.about["ops"]]
        drives = [_Drive(job, asked[index :: chosen.jobs]) for index in range(chosen.jobs)]
        drives[0].child = first
        for case in enumerate(vectors):
            if case[1].op not in job.about["ops"]:
                job.settle(case, outcome(case[1], "skipped", "op_not_listed"))
        _drive_all(job, drives)
    outcomes = tuple(job.outcomes[index] for index in range(len(vectors)))
    return Report(job.about, outcomes, tuple(job.faults.values()), time.monotonic() - begun)


def _drive_all(job: _Job, drives: Sequence[_Drive]) -> None:
    with ThreadPoolExecutor(len(drives)) as pool:
        futures = [pool.submit(drive.run) for drive in drives]
        try:
            for future in futures:
                future.result()
        except BaseException:
            job.cancelled.set()
            for drive in drives:
                drive.end()
            raise


def _most_line(vectors: Sequence[Vector]) -> int:
    """Bytes of the longest line that could be a right answer: every character may be escaped."""
    longest = max((len(json.dumps(vector.result)) for vector in vectors), default=0)
    return (1 << 20) + 6 * longest


Case = tuple[int, Vector]


@dataclass(frozen=True)
class _Suspicion:
    """A failure that more than one vector may have caused, and the last good answer before it."""

    reason: str
    detail: str
    after: str


@dataclass
class _Job:
    """State that all drives of a run share."""

    command: tuple[str, ...]
    options: Options
    files: Path
    most_line: int
    progress: Callable[[Outcome], None]
    about: dict[str, Any] = field(default_factory=dict[str, Any])
    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    cancelled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settle(self, case: Case, found: Outcome) -> None:
        """Notes what became of a vector."""
        with self.lock:
            self.outcomes[case[0]] = found
            self.progress(found)

    def blame(self, kind: str, detail: str) -> None:
        """Notes a fault of the run as a whole."""
        with self.lock:
            before = self.faults.get(kind)
            self.faults[kind] = (
                Fault(kind, before.detail, before.times + 1) if before else Fault(kind, detail)
            )

    def start(self) -> Child:
        """A started implementation that said what it is; tried again where it dies or hangs.

        Raises:
            StartError: it never answered rightly.
        """
        failed = StartError("crashed", "")
        for _ in range(_START_ATTEMPTS):
            try:
                child = Child(self.command, self.most_line)
            except (OSError, ValueError) as error:
                raise StartError("not_found", type(error).__name__) from None
            child.send(_line({"cmd": "start", "version": PROTOCOL_VERSION}))
            event = child.receive(time.monotonic() + self.options.start_timeout)
            if isinstance(event, bytes):
                try:
                    self._introduce(read_start(event, PROTOCOL_VERSION))
                except AnswerError as bad:
                    raise StartError(bad.reason, bad.detail, child.kill()) from None
                return child
            how = f" ({child.ending()})" if event == ENDED else ""
            failed = StartError(_EVENTS[event], f"no answer to start{how}", child.kill())
            if self.cancelled.is_set():
                break
        raise failed

    def _introduce(self, about: dict[str, Any]) -> None:
        with self.lock:
            changed = bool(self.about) and self.about != about
            self.about = self.about or about
        if changed:
            self.blame("start_changed", "two starts were answered differently")


class _Drive:
    """One sequence of vectors through one process after another."""

    def __init__(self, job: _Job, cases: Sequence[Case]) -> None:
        self.child: Child | None = None
        self._job = job
        self._cases = cases
        self._pending = deque(cases)
        self._flight: deque[tuple[Case, int]] = deque()
        self._window = _WINDOW
        self._since = 0.0
        self._last = "start"
        self._restarts = 0
        # Vectors that are asked again, one at a time, to find out which one is to blame.
        self._suspects: set[int] = set()
        self._suspicion: _Suspicion | None = None
        self._unexplained = 0

    def end(self) -> None:
        """Ends the process; what waits for an answer wakes up."""
        if self.child is not None:
            self.child.kill()

    def run(self) -> None:
        """Asks every vector, then stops the implementation."""
        while (self._pending or self._flight) and not self._job.cancelled.is_set():
            if self.child is None and not self._restart():
                return
            self._send_ahead()
            self._take_answer()
        self._stop()

    def _restart(self) -> bool:
        self._restarts += 1
        problem = f"started more than {self._job.options.max_restarts} times"
        if self._restarts <= self._job.options.max_restarts:
            try:
                self.child = self._job.start()
                return True
            except StartError as failed:
                problem = f"{failed.reason}: {failed.detail}"
                self._job.blame("bad_start", problem)
        for case in self._pending:
            self._job.settle(case, outcome(case[1], "errored", "not_run", problem))
        return False

    def _send_ahead(self) -> None:
        assert self.child is not None
        alone = bool(self._suspects)
        window = 1 if alone else self._window
        while self._pending and len(self._flight) < window:
            if sum(size for _, size in self._flight) > _WINDOW_BYTES:
                return
            case = self._pending.popleft()
            line = _request(case, self._job.files)
            if not self._flight:
                self._since = time.monotonic()
            self._flight.append((case, len(line)))
            self.child.send(line)

    def _take_answer(self) -> None:
        assert self.child is not None
        case = self._flight[0][0]
        event = self.child.receive(self._since + self._job.options.timeout)
        if not isinstance(event, bytes):
            self._lose(_EVENTS[event], self.child.ending() if event == ENDED else "")
            return
        try:
            answer = read_answer(event, _seq(case))
        except AnswerError as bad:
            if not bad.in_step:
                self._lose(bad.reason, bad.detail)
                return
            found = outcome(case[1], "errored", bad.reason, bad.detail)
        else:
            found = judge(case[1], answer, strict_codes=self._job.options.strict_codes)
            if self._job.options.keep_answers:
                found = msgspec.structs.replace(found, answer=answer)
        self.child.answered += 1
        self._flight.popleft()
        self._since = time.monotonic()
        self._last = case[1].id
        self._settle(case, found)

    def _lose(self, reason: str, detail: str) -> None:
        """The answers no longer fit the requests: ends the process, asks again or blames."""
        assert self.child is not None
        sure = self.child.answered == 0 and len(self._flight) == 1
        words = self.child.kill().strip()
        self.child = None
        if self._job.cancelled.is_set():
            return
        cases = [case for case, _ in self._flight]
        self._flight.clear()
        if sure:
            told = [detail, words[-300:]]
            if self._suspicion is not None and self._suspicion.reason != reason:
                # Alone it fails in another way, for example where it waits for a second request.
                told.append(f"sent ahead: {self._suspicion.reason}: {self._suspicion.detail}")
            self._suspicion = None
            text = "; ".join(part for part in told if part)
            self._settle(cases[0], outcome(cases[0][1], "errored", reason, shown(text, 500)))
            return
        self._pending.extendleft(reversed(cases))
        self._suspects.update(index for index, _ in cases)
        self._suspicion = _Suspicion(reason, detail, self._last)

    def _settle(self, case: Case, found: Outcome) -> None:
        self._job.settle(case, found)
        self._suspects.discard(case[0])
        if not self._suspects and self._suspicion is not None:
            # Each was answered when asked alone, so none of them was to blame.
            kind = {"crashed": "ended_early", "no_answer": "late"}
            detail = f"after the answer to {self._suspicion.after}: {self._suspicion.reason}"
            self._job.blame(kind.get(self._suspicion.reason, "out_of_step"), detail)
            self._suspicion = None
            self._unexplained += 1
            if self._unexplained >= _FAULTS_AHEAD:
                self._window = 1

    def _stop(self) -> None:
        if self.child is None:
            return
        code, extra = self.child.stop(_line({"cmd": "stop"}), self._job.options.timeout)
        self.child = None
        if self._job.cancelled.is_set():
            return
        if extra:
            self._job.blame("extra_output", "lines after the last answer")
        if code is None:
            self._job.blame("no_stop", f"still running after {self._job.options.timeout:g} s")
        elif code != 0:
            self._job.blame("bad_stop", f"exit code {code}")


def _seq(case: Case) -> int | str:
    # Both kinds in turn, since both must be echoed; an id would give the verdict away.
    return case[0] if case[0] % 2 else f"s{case[0]}"


def _request(case: Case, files: Path) -> bytes:
    given = expand(case[1].input, files)
    return _line({"cmd": "run", "seq": _seq(case), "op": case[1].op, "input": given})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"
