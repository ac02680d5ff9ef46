"""A vLLM server on this machine's CPU, for the time of some tests."""

# pyright: reportMissingImports=false

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
#: Seconds until a server must answer; about 50 are usual on two cores.
START = 600

_ARGUMENTS = ("--enforce-eager", "--max-model-len=8192", "--enable-scale-out")
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # Behind a proxy of the machine's, loopback would not be reached.
    "NO_PROXY": "127.0.0.1",
}


class VllmServer:
    """An unmodified `vllm serve` with the plugin, and a client for it.

    Args:
        model: The checkpoint's folder.
        log: Where its output goes.
        environment: Settings, MMRAW_*.
        arguments: Further arguments of `vllm serve`.
        api_key: Sent with every request.
    """

    def __init__(
        self,
        model: Path,
        log: Path,
        environment: Mapping[str, str],
        arguments: Sequence[str] = (),
        api_key: str = "",
    ) -> None:
        self.model = model
        self._places = [HERE / "shim", ROOT]
        self.log = log
        self._environment = dict(environment)
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{_free_port()}"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.http = httpx.Client(base_url=self.url, timeout=120, headers=headers, trust_env=False)

    def install(self, entry_points: Path) -> None:
        """Lets vLLM find the package's entry points."""
        self._places.append(entry_points)

    def start(self) -> None:
        """Starts it and returns when it answers.

        Raises:
            RuntimeError: it ended instead, or took too long; with the end of its log.
        """
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(self.model)]
        command += ["--host=127.0.0.1", f"--port={port}", "--served-model-name=tiny"]
        command += [*_ARGUMENTS, *self._arguments]
        environment = {**_unset(os.environ), **_ENVIRONMENT, **self._environment}
        environment["VLLM_PLUGINS"] = "mmraw"
        environment["PYTHONPATH"] = os.pathsep.join(map(str, self._places))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(START):
            if self._has_ended(seconds=1):
                raise RuntimeError(f"the server ended while starting:\n{self._tail()}")
            if self.is_healthy():
                return
        self.kill()
        raise RuntimeError(f"the server did not answer in time:\n{self._tail()}")

    def is_healthy(self) -> bool:
        """True if the server and its engine answer."""
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Asks it to end, and ends it and its children where it does not."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._has_ended(seconds=30)
        self.kill()
        self.http.close()

    def kill(self) -> None:
        """Ends it at once, with its children, as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def resident_bytes(self) -> int:
        """Memory of the server's processes that is in RAM."""
        assert self._process is not None
        return sum(map(_resident, _with_children(self._process.pid)))

    def reset_peak(self) -> int:
        """Lets `peak_bytes` begin again; what the API server's process takes now."""
        assert self._process is not None
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        return _resident(self._process.pid)

    def peak_bytes(self) -> int:
        """Most memory of the API server's process that was in RAM."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        total = 0.0
        for line in self.http.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(
                f'{key}="{text}"' in sample for key, text in labels.items()
            ):
                total += float(value)
        return total

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Posts a JSON body."""
        return self.http.post(path, json=body)

    def _has_ended(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def write_entry_points(folder: Path) -> Path:
    """Says which plugins this package has, as its installation would; for PYTHONPATH."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    place = folder / "mmraw_protocol-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: mmraw-protocol\nVersion: 0\n")
    lines: list[str] = []
    for group, names in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items())]
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def _free_port() -> int:
    """Below those that the system gives to connections: a minute passes until it is bound."""
    while True:
        port = random.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


def _unset(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would set the plugin from outside."""
    names = ("MMRAW_", "PRIME_RL_", "VF_RENDERER_", "VLLM_PLUGINS", "VLLM_MEDIA_CONNECTOR")
    return {k: v for k, v in environment.items() if not k.startswith(names)}


def _with_children(pid: int) -> Iterable[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _with_children(int(child))


def _resident(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except FileNotFoundError:
        return 0
    return int(pages) * os.sysconf("SC_PAGESIZE")
