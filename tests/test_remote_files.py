"""Files in object stores: read where they are, and written whole, by URL."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_archives import REFS, report
from test_compression import packed
from test_file_commands import run

from mmraw_protocol import MMRawError, convert_ref
from mmraw_protocol.files import remote
from mmraw_protocol.files.names import expanded

obstore: Any = pytest.importorskip("obstore.store")

LINES = "".join(json.dumps([one]) + "\n" for one in REFS)
NEW = "".join(json.dumps([convert_ref(one, "v3")]) + "\n" for one in REFS)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bucket whose objects are files: obstore's own client, with a folder behind it."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    monkeypatch.setattr(remote, "client_for", lambda *_: obstore.LocalStore(folder))
    return folder


def test_a_file_is_converted_from_url_to_url(
    bucket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bucket / "old.gz").write_bytes(packed(LINES.encode()))
    row = run(capsys, "convert", "s3://bucket/old.gz", "--out", "s3://bucket/deep/new.gz")
    assert (row["converted"], row["written"]) == (300, True)
    assert (bucket / "deep" / "new.gz").read_bytes() == packed(NEW.encode())
    run(capsys, "convert", "s3://bucket/old.gz", "--in-place")
    assert (bucket / "old.gz").read_bytes() == packed(NEW.encode())


def test_nothing_appears_where_a_string_is_refused(
    bucket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bucket / "old.jsonl").write_text(LINES + '"mmraw:v9:x"')
    row = run(capsys, "convert", "s3://bucket/old.jsonl", "--out", "s3://bucket/new.jsonl", code=1)
    assert (row["refused"], row["written"]) == (1, False)
    assert [path.name for path in bucket.iterdir()] == ["old.jsonl"]


def test_tables_are_read_where_they_are(
    bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pa: Any = pytest.importorskip("pyarrow")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"ref": REFS}), bucket / "a.parquet", row_group_size=100)
    found = report(capsys, "validate", "s3://bucket/a.parquet", "--processes", "2")
    assert found["checked"] == {"ref": 300}
    run(capsys, "convert", "s3://bucket/a.parquet", "--out", tmp_path / "b.parquet")
    assert parquet.read_table(tmp_path / "b.parquet")["ref"][7].as_py() == convert_ref(
        REFS[7], "v3"
    )


def test_a_url_that_ends_in_a_slash_is_a_folder(
    bucket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jsonl", "more/b.jsonl", "more/.hidden", "other.jsonl"):
        file = bucket / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(LINES)
    assert report(capsys, "validate", "s3://bucket/in/")["checked"] == {"ref": 900}
    report(capsys, "convert", "s3://bucket/in/", "--out", "s3://bucket/out/")
    assert (bucket / "out" / "more" / "b.jsonl").read_text() == NEW
    assert report(capsys, "convert", "s3://bucket/in/", "--out", "s3://bucket/out/")["files"] == []


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("in/*", ["a.jsonl", "b.gz"]),
        ("in/**", ["a.jsonl", "b.gz", "more/d.jsonl", "more/deep/c.jsonl"]),
        ("in/**/*.jsonl", ["a.jsonl", "more/d.jsonl", "more/deep/c.jsonl"]),
        ("in/?ore/*.jsonl", ["more/d.jsonl"]),
        ("in/[ab].*", ["a.jsonl", "b.gz"]),
        ("in/none*", []),
    ],
)
def test_a_url_may_be_a_pattern(bucket: Path, pattern: str, names: list[str]) -> None:
    for name in ("a.jsonl", "b.gz", "more/d.jsonl", "more/deep/c.jsonl", ".hidden.jsonl"):
        file = bucket / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("[]")
    for place in ("s3://bucket", bucket):
        found = [file.path for file in expanded([f"{place}/{pattern}"])]
        assert found == [f"{place}/in/{name}" for name in names]


@pytest.mark.parametrize(
    "name", ["a b.jsonl", "12:00~(1)!.jsonl", "ü.jsonl", "%25.jsonl", "[1].jsonl"]
)
def test_objects_of_other_programs_may_have_any_name(
    name: str, bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bucket / "in").mkdir()
    (bucket / "in" / name).write_text(LINES)
    assert report(capsys, "validate", f"s3://bucket/in/{name}")["checked"] == {"ref": 300}
    run(capsys, "convert", "s3://bucket/in/", "--out", tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == NEW


def test_the_images_of_a_run_are_no_rollouts(
    bucket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bucket / "a.jsonl").write_text(LINES)
    (bucket / "b.PNG").write_bytes(b"a picture")
    assert report(capsys, "validate", "s3://bucket/")["checked"] == {"ref": 300}


@pytest.mark.parametrize("url", ["s3a://bucket/a.jsonl", "https://host/a.jsonl"])
def test_other_urls_are_refused_by_their_kind(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    (refusal,) = report(capsys, "validate", url, code=1)["refusals"]
    assert "s3://" in refusal["message"]


def test_a_missing_object_is_an_error(bucket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "validate", "s3://bucket/none.jsonl", code=1)
    assert found["refused_by_code"] == {"source_unavailable": 1}
    with pytest.raises(MMRawError) as caught:
        remote.open_remote("s3://bucket/none.jsonl")
    assert caught.value.code == "source_unavailable"


def test_an_object_that_changes_while_it_is_read_is_refused(
    bucket: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / "a.jsonl").write_text(LINES)
    state_of, asked = remote.state_of, list[str]()

    def changing(url: str) -> remote.State | None:
        asked.append(url)
        (bucket / "a.jsonl").write_text(LINES * len(asked))
        return state_of(url)

    monkeypatch.setattr("mmraw_protocol.cli.inputs.state_of", changing)
    found = report(capsys, "validate", "s3://bucket/a.jsonl", code=1)
    assert found["refused_by_code"] == {"source_unavailable": 1}
