"""`--engine ray` of the commands, on a Ray that runs already, and on one that they start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
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
    assert (code, report["files"][0]["converted"]) == (0, 30)
    code, report = mmraw("offload", f"{bucket}/new", "--out", f"{bucket}/moved", *store)
    (row,) = report["files"]
    assert (code, row["images"], row["parts"]) == (0, 30, 1)
    assert row["image_bytes"] == 30 * len(samples.PNG)
    code, report = mmraw("store", "fsck", f"{bucket}/moved", *store)
    assert (code, report["refused_by_code"]) == (1, {"source_unavailable": 1})
    code, report = mmraw("inline", f"{bucket}/moved", "--out", tmp_path / "back", *store)
    (row,) = report["files"]
    assert (code, row["images"]) == (1, 30)
    assert row["refused_by_code"] == {"source_unavailable": 30}
    (part,) = (tmp_path / "back").iterdir()
    with part.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert text == b"\n".join(line.replace(OLD.encode(), NEW.encode()) for line in lines) + b"\n"


def test_refusals_are_told_with_their_place(
    mmraw: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"ref": "{NEW}"}}\n{{"ref": "{BROKEN}"}}\n{{\n')
    table = pa.table({"id": ["x", "y"], "ref": [NEW, BROKEN]})
    pq.write_table(table, tmp_path / "b.parquet")
    code, report = mmraw("validate", tmp_path, "--keep", "id")
    assert (code, report["checked"]) == (1, {"ref": 4, "document": 1})
    names = ("line", "column", "kept", "code")
    places = [tuple(one.get(name) for name in names) for one in report["refusals"]]
    broken = report["refusals"][0]["code"]
    assert places == [
        (2, "", None, broken),
        (3, "", None, "invalid_json"),
        (2, "ref", {"id": "y"}, broken),
    ]
    main(["validate", str(tmp_path), "--keep", "id", "--engine", "ray", "--format", "github"])
    lines = capsys.readouterr().out.splitlines()
    starts = [f"::error file={tmp_path}/a.jsonl,line={line}::" for line in (2, 3)]
    starts.append(f"::error file={tmp_path}/b.parquet,line=2::column ref: ")
    assert all(map(str.startswith, lines[:3], starts))


def test_refs_within_text_are_rewritten(mmraw: Command, tmp_path: Path) -> None:
    log = [f"12:00:01 read {OLD}, and {OLD}", json.dumps({"event": f"sent {OLD}"})]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("\n".join(log))
    pq.write_table(pa.table({"event": log}), tmp_path / "b.parquet")
    new = "\n".join(log).replace(OLD, NEW)
    call = ("convert", tmp_path / "logs", "--text", "--out", tmp_path / "out")
    assert mmraw(*call)[1]["files"][0]["converted"] == 3
    (part,) = (tmp_path / "out").iterdir()
    assert part.read_text() == new + "\n"
    call = ("convert", tmp_path / "b.parquet", "--text", "--out", tmp_path / "rows")
    assert mmraw(*call)[1]["files"][0]["converted"] == 3
    assert pq.read_table(tmp_path / "rows").to_pydict() == {"event": new.split("\n")}


def test_what_ray_cannot_do_is_refused(mmraw: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    assert mmraw("convert", tmp_path)[1]["error"]["code"] == "unsupported_option"
    assert mmraw("validate", tmp_path / "none")[1]["error"]["code"] == "source_unavailable"
    assert mmraw("validate", tmp_path, "--follow")[1]["error"]["code"] == "unsupported_option"
    code, report = mmraw("convert", tmp_path, "--dry-run")
    assert (code, report["files"][0]["converted"]) == (0, 1)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.jsonl"]


NO_LINES: dict[str, bytes] = {
    "MessagePack": msgspec.msgpack.encode({"ref": OLD}),
    "a document": json.dumps([{"ref": OLD}], indent=1).encode(),
    "Arrow": b"ARROW1\0\0",
}


def test_a_worker_that_fails_prints_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"ref": [OLD]}), file)
    address = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    command = [sys.executable, "-m", "mmraw_protocol.cli", "validate", str(file)]
    command += ["--keep", "none", "--engine", "ray"]
    done = subprocess.run(command, env={**os.environ, **address}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert "\nmmraw: unsupported_option at $: expected one column" in done.stderr


@pytest.mark.parametrize("name", NO_LINES)
def test_a_file_that_ray_cannot_read_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    file = tmp_path / "b"
    file.write_bytes(NO_LINES[name])
    assert main(["validate", str(tmp_path), "--engine", "ray", "--quiet"]) == 1
    printed = capsys.readouterr()
    # Neither a traceback of a worker, nor messages of Ray.
    assert len(printed.err.splitlines()) <= 4, printed.err
    assert f"mmraw: {file}: " in printed.err
    assert printed.out == ""


def test_an_output_in_the_input_is_refused(mmraw: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    out = tmp_path.with_name(f"{tmp_path.name}-out")
    for options in (
        ("--out", tmp_path / "new"),
        ("--out", out, "--refused", tmp_path / "refused"),
        ("--out", out, "--refused", out / "refused"),
        ("--out", "-"),
        ("--out", out, "--on-error", "fail"),
    ):
        code, report = mmraw("convert", tmp_path, *options)
        assert (code, report["error"]["code"]) == (1, "unsupported_option")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert not out.exists()


def test_a_report_is_that_of_the_files_without_ray(mmraw: Command, tmp_path: Path) -> None:
    contradiction = samples.ref("v3", mm_hash="0" * 32, run_id=None)
    lines = [json.dumps({"ref": one}) for one in (NEW, BROKEN, contradiction)] + ["{", "text"]
    (tmp_path / "in" / "year=2024").mkdir(parents=True)
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(lines))
    table = pa.table({"id": [1, 2], "ref": [NEW, BROKEN], "row": [PICTURE, lines[0]]})
    # Recognized by content; and the name of a folder is no column.
    pq.write_table(table, tmp_path / "in" / "year=2024" / "rows.pq")
    with pytest.MonkeyPatch.context() as patch:
        # The workers have another working directory.
        patch.chdir(tmp_path)
        both = [str(tmp_path / "in"), "in/*.jsonl"]
        code, report = mmraw("validate", *both, "--report", "report.json")
        assert main(["validate", *both, "--report", "files.json"]) == code == 1
        files = json.loads(Path("files.json").read_text())
        assert json.loads(Path("report.json").read_text()) == report
        same = ("checked", "refused", "refused_by_code")
        assert [report[name] for name in same] == [files[name] for name in same]
        fields = ("file", "kind", "code", "path", "message", "column")
        places = [
            sorted([one[name] or "" for name in fields[:-1]] for one in found["refusals"])
            for found in (report, files)
        ]
        assert places[0] == places[1]
        code, report = mmraw("convert", "in/year=2024", "--out", "out")
        assert main(["convert", "in/year=2024", "--dry-run", "--report", "files.json"]) == code
        (row,), (file,) = report["files"], json.loads(Path("files.json").read_text())["files"]
        same = ("converted", "unchanged", "refused", "refused_by_code")
        assert [row[name] for name in same] == [file[name] for name in same]
        assert pq.read_table("out").schema.names == ["id", "ref", "row"]
        code, report = mmraw("offload", "in/year=2024", "--out", "moved", "--store", "images")
        assert (report["files"][0]["images"], len(list(Path("images").iterdir()))) == (1, 1)
        code, report = mmraw("store", "fsck", "moved", "--store", "images")
        assert report["checked"]["image"] == 2


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nothing"])
def test_a_cluster_that_is_not_there_is_said_at_once(address: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    command = [sys.executable, "-m", "mmraw_protocol.cli", "validate", str(tmp_path)]
    done = subprocess.run(
        [*command, "--engine", "ray"],
        env={**os.environ, "RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mmraw: server_unavailable at $: expected a Ray cluster")


@pytest.mark.parametrize("is_running", [True, False])
def test_a_command_uses_the_ray_that_runs_or_starts_one(tmp_path: Path, is_running: bool) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"ref": OLD}))
    command = [sys.executable, "-m", "mmraw_protocol.cli", "validate", str(tmp_path)]
    address = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address} if is_running else {}
    done = subprocess.run(
        [*command, "--engine", "ray"], env={**os.environ, **address}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "checked 1 ref; refused 0\n"), done.stderr
