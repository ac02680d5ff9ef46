"""Reports of `--engine ray` say of images what those of the same commands without Ray say."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples

from mmraw_protocol.cli import main
from mmraw_protocol.integrations import ray as mmraw_ray
from mmraw_protocol.materialize.verification import Verifier
from mmraw_protocol.stores import LocalStore

#: Two images, one of them again and again, and a ref that cannot be read.
OTHER = samples.ref("v3", mm_hash="0" * 32, raw_image_id="0" * 64 + ".png")
REFS = [samples.ref("v2"), samples.ref("v3"), OTHER, "mmraw:v9:x"]
FACTS = ("images", "duplicates", "image_bytes", "distinct_bytes", "forms", "families", "tokens")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The refs in files of three forms, and data: images."""
    made = tmp_path / "in"
    made.mkdir()
    rows = [json.dumps({"ref": one, "image": samples.data_url(samples.PNG)}) for one in REFS]
    (made / "a.jsonl").write_text("\n".join(rows))
    (made / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(rows * 2).encode()))
    pq.write_table(pa.table({"ref": REFS}), made / "c.parquet")
    return made


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    capsys.readouterr()
    main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", [["validate"], ["stats"]])
def test_ray_counts_what_files_count(
    command: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [*command, folder, "--report", tmp_path / "report.json"]
    files = report(capsys, *call)
    ray = report(capsys, *call, "--engine", "ray")
    assert ray == json.loads((tmp_path / "report.json").read_text())
    assert ray["refused_by_code"] == files["refused_by_code"]
    for found in ray, files:
        found.update(found.pop("found", {}))
    assert [ray[name] for name in FACTS] == [files[name] for name in FACTS]
    assert (ray["images"], ray["forms"]["ref v3"]) == (files["images"], 8)


@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize("command", ["convert", "offload"])
def test_rewriting_on_ray_counts_what_files_count(
    command: str, writes: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "c.parquet").unlink()
    store = ["--store", tmp_path / "store"] if command == "offload" else []
    call = [command, folder, *store, "--report", tmp_path / "report.json"]
    files = report(capsys, *call, "--on-error", "keep", "--out", tmp_path / "files")
    call += ["--out", tmp_path / "ray"] if writes else ["--dry-run"]
    ray = report(capsys, *call, "--engine", "ray")
    assert ray["found"] == files["found"]
    assert ray["found"]["images"] == (21 if command == "offload" else 9)


def test_nothing_is_noted_that_was_not_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "found" not in report(capsys, "validate", folder, "--engine", "ray")
    ds = mmraw_ray.read_lines(str(folder / "a.jsonl"))
    kinds = mmraw_ray.validate(ds, documents=["line"]).unique("kind")
    assert sorted(kinds) == ["ref"]
    asked = mmraw_ray.validate(ds, documents=["line"], verifier=Verifier(each=True))
    assert mmraw_ray.summary(asked).facts.report()["images"] == 3


def test_refs_are_verified_on_ray_with_what_is_given(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker opens the store at the same place, whatever its working directory is."""
    LocalStore(tmp_path / "store", run_id="exp42")
    monkeypatch.chdir(tmp_path)
    for options in (["--run-id", "other"], ["--store", "store"], ["--store", "store", "--verify"]):
        call = ["validate", folder, *options]
        files, ray = report(capsys, *call), report(capsys, *call, "--engine", "ray")
        assert ray["refused_by_code"] == files["refused_by_code"]
        assert ray["refused"] > 4
