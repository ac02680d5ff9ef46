"""A server program on this machine that tests start, kill and start again."""

import abc
import socket
import subprocess
import time
from pathlib import Path

DEADLINE = 30.0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LocalServer(abc.ABC):
    """One process that listens on a port of the loopback interface and keeps its files in a folder.

    Attributes:
        variables: The environment of the process; None for that of the tests.
    """

    variables: dict[str, str] | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    def start(self) -> None:
        """Starts the server and returns once it accepts connections."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), env=self.variables, cwd=self.folder, stdout=log, stderr=log
            )
        until = time.monotonic() + DEADLINE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            try:
                # The pause between two looks; it ends at once where the server ends.
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """Ends the server as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
