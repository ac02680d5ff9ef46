"""Commands that find nothing to work on fail, and say what they saw."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import samples
from test_url_files import said

from mmraw_protocol.cli import main
from mmraw_protocol.cli.seen import Seen
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.base64 import encode_base64

ROWS = [{"id": n, "messages": json.dumps([{"role": "user"}])} for n in range(300)]
TEXT = '300 rows, 0 {}; column "messages" holds JSON text'
COMMANDS = {"convert": "refs", "offload": "images", "inline": "images"}


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VF_RENDERER_IMAGE_OFFLOAD_DIR", "PRIME_RL_RUN_DIR", "RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """The store of a run."""
    return LocalStore(tmp_path / "run_r" / "assets" / "images")


def rows_file(folder: Path, rows: list[Any]) -> Path:
    """Rows, a line each."""
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_without_anything_is_not_rewritten(
    command: str, store: LocalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = rows_file(tmp_path, ROWS), tmp_path / "out.jsonl"
    options = ("--store", store.root, "--out", out)
    (row,) = said(capsys, command, file, *options, code=1)["files"]
    assert (row["written"], row["seen"]) == (False, TEXT.format(COMMANDS[command]))
    assert not out.exists()
    said(capsys, command, file, *options, "--allow-empty")
    assert out.read_bytes() == file.read_bytes()
    main([command, str(file), *map(str, options)])
    assert "found nothing to work on: 300 rows" in capsys.readouterr().out


@pytest.mark.parametrize("processes", ["1", "2"])
def test_validate_says_what_a_file_without_anything_looks_like(
    processes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = rows_file(tmp_path, ROWS)
    options = ("-p", processes)
    found = said(capsys, "validate", file, *options, code=1)
    assert (found["checked"], found["seen"]) == ({}, {str(file): TEXT.format("refs")})
    said(capsys, "validate", file, *options, "--allow-empty")
    other = tmp_path / "refs.txt"
    other.write_text(samples.ref())
    assert "seen" not in said(capsys, "validate", file, other, *options)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"", "nothing at all, 0 refs"),
        (b"\n\n", "nothing at all, 0 refs"),
        (b'{"a": 1}', '1 row, 0 refs; column "a"'),
        (b'{"a": 1, "b": "[no json"}\n{"c": 2}\n', '2 rows, 0 refs; columns "a", "b", "c"'),
        (b"[\n1]", "one document, 0 refs"),
        (
            b"sent " + samples.ref().encode(),
            "1 line of text, 0 refs, but refs within text (see --text)",
        ),
        (b"a log\nof lines", "2 lines of text, 0 refs"),
        (b'["data:image/png;base64,"]\n', "1 row, 0 refs, 1 data: images"),
        (b'{"\\u001b[31m\\n": 1}', '1 row, 0 refs; column "\\u001b[31m\\n"'),
        (b'{"a": "[]", "b": "{}"}\n', '1 row, 0 refs; columns "a", "b" hold JSON text'),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_what_is_seen_does_not_depend_on_how_it_is_read(data: bytes, seen: str, step: int) -> None:
    tee = Seen(io.BytesIO(data).read, {b'"data:image': "data: images"})
    assert b"".join(iter(lambda: tee.read(step), b"")) == data
    assert tee.text("refs") == seen


@pytest.mark.parametrize("command", ["validate", "stats", *COMMANDS])
def test_a_folder_or_pattern_without_files_is_named(
    command: str, store: LocalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rollouts").mkdir()
    options = ["--store", str(store.root), "--out", str(tmp_path / "out")]
    for given in (tmp_path / "rollouts", tmp_path / "*.jsonl"):
        more = options if command in COMMANDS else []
        assert main([command, str(given), *more]) == 1
        assert f"mmraw: {given}: found no file in it, or of this pattern" in capsys.readouterr().err
        assert main([command, str(given), *more, "--allow-empty"]) == 0


def test_moving_images_twice_is_no_failure(
    store: LocalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"type": "image_url", "image_url": {"url": samples.data_url(samples.PNG)}}
    file = rows_file(tmp_path, [row])
    for command in ("offload", "offload", "inline", "inline"):
        said(capsys, command, file, "--store", store.root, "--in-place")


def test_offload_leaves_no_image_unnamed(
    store: LocalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = encode_base64(samples.PNG)
    source = {"type": "base64", "media_type": "image/png", "data": data}
    rows = [
        {"type": "image_url", "image_url": {"url": samples.data_url(samples.PNG)}},
        {"type": "image", "image": f"data:image;base64,{data}"},
        {"type": "image", "source": source},
        {"type": "image", "image": f"data:image/None;base64,{data}"},
        {"text": "data:imagery", "data": "/9j"},
    ]
    file = rows_file(tmp_path, rows)
    options = ("--store", store.root, "--in-place", "--on-error", "keep")
    (report,) = said(capsys, "offload", file, *options, code=1)["files"]
    assert report["offloaded"] == 1
    assert [(one["line"], one["code"]) for one in report["refusals"]] == [
        (2, "invalid_raw_uri"),
        (3, "source_unsupported"),
        (4, "invalid_raw_uri"),
    ]


def test_fsck_of_the_wrong_folder_fails(
    store: LocalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = store.root.parent.parent
    found = said(capsys, "store", "fsck", "--store", run, code=1)
    assert (found["ok"], found["objects"]) == (False, 0)
    assert found["seen"] == (
        '0 objects; the folder has "assets"; images are usually in assets/images below'
    )
    assert said(capsys, "store", "fsck", "--store", run, "--allow-empty")["ok"]
    # The files of any folder are objects of a store; no name of these says what is in them.
    (run / "notes.txt").write_text("no image")
    found = said(capsys, "store", "fsck", "--store", run, code=1)
    assert found["seen"] == "1 objects, none of which has a hash in its name"
    store.put(samples.PNG)
    said(capsys, "store", "fsck", "--store", store.root)
    file = rows_file(tmp_path, ROWS)
    found = said(capsys, "store", "fsck", file, "--store", store.root, code=1)
    assert found["seen"] == "1 objects, and 0 references in the files"
    said(capsys, "store", "fsck", file, "--store", store.root, "--allow-empty")
