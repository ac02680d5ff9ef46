"""The three programs of examples/pipeline, run as one pipeline against each other."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent.parent / "examples" / "pipeline"


def run(name: str, *args: str, code: int = 0) -> str:
    """Returns what a program prints."""
    command = [sys.executable, str(PROGRAMS / name), *args]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The images directory that all three share."""
    return tmp_path / "run_exp42" / "assets" / "images"


@pytest.fixture
def server(store: Path) -> Iterator[str]:
    """The server's URL."""
    command = [sys.executable, str(PROGRAMS / "server.py"), "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (port,) = re.findall(r"port (\d+)", process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_renderer_server_and_trainer_agree(server: str, store: Path, tmp_path: Path) -> None:
    rollouts = tmp_path / "rollouts.jsonl"
    run("renderer.py", "--store", str(store), "--server", server, "--out", str(rollouts))
    rows = [json.loads(line) for line in rollouts.read_text().splitlines()]
    assert len(rows) == 5
    assert all(re.fullmatch("#[0-9a-f]{6}", row["answer"]) for row in rows)
    # The same picture in another conversation is the same answer; another picture another one.
    assert rows[0]["answer"] == rows[4]["answer"] != rows[2]["answer"]
    assert [len(row["features"]["kwargs_data"]["image"]) for row in rows] == [1, 3, 1, 2, 3]
    said = run("trainer.py", "--store", str(store), str(rollouts))
    assert "5 pictures decoded, 5 from the cache" in said


def test_the_trainer_refuses_a_swapped_picture(server: str, store: Path, tmp_path: Path) -> None:
    rollouts = tmp_path / "rollouts.jsonl"
    run("renderer.py", "--store", str(store), "--server", server, "--out", str(rollouts))
    first, second, *_ = sorted(store.iterdir())
    first.write_bytes(second.read_bytes())
    said = run("trainer.py", "--store", str(store), str(rollouts), code=1)
    assert "object_corrupt" in said
