"""One machine packs, another materializes: nothing is shared but the bucket."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from s3_server import S3Server

from mmraw_protocol.demo import example_pictures


def mmraw(*arguments: str, folder: Path) -> Any:
    """A command in a process and a folder of its own."""
    done = subprocess.run(
        [Path(sys.executable).parent / "mmraw", *arguments],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_refs_packed_here_are_pixels_there(server: S3Server, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    parts = [{"type": "image", "image": str(path)} for path in example_pictures()]
    (here / "messages.json").write_text(json.dumps([{"role": "user", "content": parts}]))
    bucket = "s3://images/run_exp42/assets/images"
    body = mmraw("pack", "messages.json", "--alpha", "drop", "--store", bucket, folder=here)
    (there / "features.json").write_text(json.dumps(body))
    report = mmraw(
        *("materialize", "features.json", "--store", bucket, "--json", "--out", "out"), folder=there
    )
    assert len(report) == len(parts)
    assert len(list((there / "out").iterdir())) == len(parts)
