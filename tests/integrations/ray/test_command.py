"""`--engine ray` of the commands, on a Ray that runs already, and on one that they start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import samples
import zstandard

from mmraw_protocol.cli import main

OLD, NEW, BROKEN = samples.ref("v2"), samples.ref("v3"), samples.ref("v2")[:-4]
PICTURE = samples.data_url(samples.PNG)


class Command:
    """Commands in this process, whose Ray they use."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Any:
        """Exit code and report."""
        self._capsys.readouterr()
        code = main([*map(str, arguments), "--engine", "ray", "--json"])
        return code, json.loads(self._capsys.readouterr().out)


@pytest.fixture
def mmraw(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_a_folder_of_lines_goes_to_a_bucket_and_is_checked_there(
    mmraw: Command, tmp_path: Path
) -> None:
    lines = [json.dumps({"ref": OLD, "image": PICTURE, "n": n}).encode() for n in range(30)]
    data = zstandard.ZstdCompressor().compress(b"\n".join(lines))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl.zst").write_bytes(data)
    bucket, store = "s3://images/of-commands", ("--store", "s3://images/of-commands/images")
    code, report = mmraw("convert", tmp_path / "in", "--out", f"{bucket}/new")
    assert (code, report["counts"]) == (0, {"changed": 30})
    code, report = mmraw("offload", f"{bucket}/new", "--out", f"{bucket}/moved", *store)
    assert (code, report["counts"]["image"], report["parts"]) == (0, 30, 1)
    code, report = mmraw("store", "fsck", f"{bucket}/moved", *store)
    assert (code, report["refused"]) == (1, {"source_unavailable": 1})
    code, report = mmraw("inline", f"{bucket}/moved", "--out", tmp_path / "back", *store)
    assert (code, report["counts"]["image"]) == (1, 30)
    assert report["refused"] == {"source_unavailable": 30}
    (part,) = (tmp_path / "back").iterdir()
    with part.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert text == b"\n".join(line.replace(OLD.encode(), NEW.encode()) for line in lines) + b"\n"


def test_refusals_are_told_with_their_place(mmraw: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"ref": "{NEW}"}}\n{{"ref": "{BROKEN}"}}\n{{\n')
    table = pa.table({"id": ["x", "y"], "ref": [NEW, BROKEN]})
    pq.write_table(table, tmp_path / "b.parquet")
    code, report = mmraw("validate", tmp_path, "--keep", "id")
    assert (code, report["counts"]) == (1, {"ref": 2})
    places = [(one.get("start"), one.get("id"), one["code"]) for one in report["refusals"]]
    start = len(f'{{"ref": "{NEW}"}}\n')
    broken = report["refusals"][0]["code"]
    assert places == [
        (start, None, broken),
        (2 * start - len(NEW) + len(BROKEN), None, "invalid_json"),
        (None, "y", broken),
    ]


def test_refs_within_text_are_rewritten(mmraw: Command, tmp_path: Path) -> None:
    log = [f"12:00:01 read {OLD}, and {OLD}", json.dumps({"event": f"sent {OLD}"})]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("\n".join(log))
    pq.write_table(pa.table({"event": log}), tmp_path / "b.parquet")
    new = "\n".join(log).replace(OLD, NEW)
    call = ("convert", tmp_path / "logs", "--text", "--out", tmp_path / "out")
    assert mmraw(*call)[1]["counts"] == {"changed": 3}
    (part,) = (tmp_path / "out").iterdir()
    assert part.read_text() == new + "\n"
    call = ("convert", tmp_path / "b.parquet", "--text", "--out", tmp_path / "rows")
    assert mmraw(*call)[1]["counts"] == {"changed": 3}
    assert pq.read_table(tmp_path / "rows").to_pydict() == {"event": new.split("\n")}


def test_what_ray_cannot_do_is_refused(mmraw: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    assert mmraw("convert", tmp_path)[1]["error"]["code"] == "unsupported_option"
    assert mmraw("validate", tmp_path / "none")[1]["error"]["code"] == "source_unavailable"
    assert mmraw("validate", tmp_path, "--run-id", "x")[1]["error"]["code"] == "unsupported_option"
    code, report = mmraw("convert", tmp_path, "--dry-run")
    assert (code, report["counts"], list(tmp_path.iterdir())) == (
        0,
        {"changed": 1},
        [tmp_path / "a.jsonl"],
    )


@pytest.mark.parametrize("is_running", [True, False])
def test_a_command_uses_the_ray_that_runs_or_starts_one(tmp_path: Path, is_running: bool) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    command = [sys.executable, "-m", "mmraw_protocol.cli", "validate", str(tmp_path)]
    address = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address} if is_running else {}
    done = subprocess.run(
        [*command, "--engine", "ray"], env={**os.environ, **address}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "checked: 1 ref; refused 0\n"), done.stderr
