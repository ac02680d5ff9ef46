"""One life of an implementation under test: its process, and lines in and out."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO, Final, Literal, cast

#: Values that `Child.receive` gives instead of a line.
ENDED: Final = "ended"
LATE: Final = "late"
TOO_LONG: Final = "too_long"
Event = Literal["ended", "late", "too_long"]

_LINES_AHEAD = 256
#: Seconds that a process may take to end after it closed its output.
_ENDING_SECONDS = 1.0
_STDERR_KEPT = 4000


class Child:
    """A running implementation. Threads read and write, so that no pipe can block the runner.

    Raises:
        OSError: the command cannot be started.
    """

    def __init__(self, command: Sequence[str], most_line: int) -> None:
        self.answered = 0
        self._most = most_line
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own, so that a wrapper's children end with it.
            start_new_session=sys.platform != "win32",
        )
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lines: queue.Queue[bytes | Event] = queue.Queue(_LINES_AHEAD)
        self._over = threading.Event()
        self._stderr = b""
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._write, self._read, self._read_stderr)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, line: bytes) -> None:
        """Hands one line on; never blocks, never fails."""
        self._requests.put(line)

    def receive(self, deadline: float) -> bytes | Event:
        """The next line, or what happened instead, until `deadline` (of time.monotonic)."""
        try:
            return self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return LATE

    def stop(self, line: bytes, timeout: float) -> tuple[int | None, int]:
        """Sends the last line; (exit code or None where it did not end, lines nobody asked for)."""
        self.send(line)
        self._requests.put(None)
        deadline = time.monotonic() + timeout
        extra = 0
        while (event := self.receive(deadline)) not in (ENDED, LATE):
            extra += 1
            if event == TOO_LONG:
                break
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()
        return code, extra

    def ending(self) -> str:
        """Says how a silent process ended: `exit code 3`, `signal SIGSEGV`; else empty."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Its standard output may be closed a moment before it ends.
            code = self._process.wait(_ENDING_SECONDS)
            if code >= 0:
                return f"exit code {code}"
            with contextlib.suppress(ValueError):
                return f"signal {signal.Signals(-code).name}"
            return f"signal {-code}"
        return "closed its output and went on running"

    def kill(self) -> str:
        """Ends the process with all it started; the end of its standard error."""
        self._over.set()
        self._requests.put(None)
        # Once it is waited for, its number may be another process's.
        if self._process.returncode is None:
            self._signal()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", stream).close()
        return self._stderr.decode("utf-8", "replace")

    def _signal(self) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                # The group outlives its leader where a grandchild still holds the pipes.
                os.killpg(self._process.pid, signal.SIGKILL)

    def _write(self) -> None:
        stream = cast("IO[bytes]", self._process.stdin)
        with contextlib.suppress(OSError, ValueError):
            while (line := self._requests.get()) is not None:
                stream.write(line)
                if self._requests.empty():
                    stream.flush()
            stream.close()

    def _read(self) -> None:
        stream = cast("IO[bytes]", self._process.stdout)
        with contextlib.suppress(OSError, ValueError):
            while line := stream.readline(self._most + 1):
                if line.endswith(b"\n"):
                    self._put(line)
                    continue
                # Longer than any answer, or cut off by the end of the process.
                self._put(TOO_LONG if len(line) > self._most else ENDED)
                return
        self._put(ENDED)

    def _put(self, event: bytes | Event) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(event, timeout=0.1)
                return

    def _read_stderr(self) -> None:
        stream = cast("IO[bytes]", self._process.stderr)
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(stream.fileno(), 65536):
                self._stderr = (self._stderr + data)[-_STDERR_KEPT:]
