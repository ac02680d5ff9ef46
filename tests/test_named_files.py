"""What folders and patterns name: every file once, links included, and nothing is passed over."""

import json
import os
from pathlib import Path

import pytest
import samples
from test_archives import report
from test_file_commands import run

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.files.names import expanded
from mmraw_protocol.stores import LocalStore

LINE = json.dumps({"ref": samples.ref("v2")}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files at three depths, hidden ones, and links to folders above and beside."""
    for name in ("a.jsonl", "b/c.jsonl", "b/d/e.txt", "b/.hidden", ".hidden/f.jsonl"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(LINE)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "g.jsonl").write_text(LINE)
    links = {"in/b/up": "..", "in/b/d/up": "../..", "in/link": "../beside", "beside/back": "../in"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    (tmp_path / "in" / "gone").symlink_to("absent")
    os.mkfifo(tmp_path / "in" / "pipe")
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", "a.jsonl b/c.jsonl b/d/e.txt link/g.jsonl"),
        ("*", "a.jsonl"),
        ("*/*", "b/c.jsonl link/g.jsonl"),
        ("**", "a.jsonl b/c.jsonl b/d/e.txt link/g.jsonl"),
        ("**/*.jsonl", "a.jsonl b/c.jsonl link/g.jsonl"),
        ("b/**/[a-e].*", "c.jsonl d/e.txt"),
        ("**/d/**", "b/d/e.txt"),
        ("*/d/*.jsonl", ""),
        (".hidden/*", "f.jsonl"),
    ],
)
def test_files_are_named_once_and_loops_end(pattern: str, names: str, folder: Path) -> None:
    found = expanded([str(folder / pattern)])
    assert [str(file.within) for file in found] == names.split()
    assert all(Path(file.path).is_file() for file in found)


def test_a_folder_of_links_is_written_to_a_folder_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Caches of downloads have links to the files themselves."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1").write_text(LINE)
    (tmp_path / "snapshot" / "data").mkdir(parents=True)
    (tmp_path / "snapshot" / "data" / "a.jsonl").symlink_to("../../blobs/1")
    row = run(capsys, "convert", tmp_path / "snapshot", "--out", tmp_path / "out")
    assert row["written"]
    assert (tmp_path / "out" / "data" / "a.jsonl").is_file()
    with pytest.raises(SystemExit):
        run(capsys, "convert", tmp_path / "snapshot", "--out", tmp_path / "snapshot" / "data")


def test_the_images_of_a_run_are_no_rollouts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(tmp_path / "run" / "assets" / "images", create=True)
    urls = [store.url(store.put(data)) for data in (samples.PNG, samples.JPEG)]
    (tmp_path / "run" / "rollouts.jsonl").write_text("".join(f'["{url}"]\n' for url in urls))
    options = ("--store", store.root)
    assert report(capsys, "store", "fsck", tmp_path / "run", *options)["ok"]
    row = run(capsys, "inline", tmp_path / "run", *options, "--out", tmp_path / "out")
    assert row["inlined"] == 2
    assert report(capsys, "stats", tmp_path / "out")["images"] == 2


def test_a_page_about_the_data_goes_along_and_text_with_refs_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.jsonl").write_text(LINE)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Rollouts\n")
    for command in (["validate"], ["stats"], ["convert", "--dry-run"]):
        report(capsys, *command, folder)
    report(capsys, "convert", folder, "--out", out)
    assert (out / "README.md").read_bytes() == (folder / "README.md").read_bytes()
    report(capsys, "convert", folder, "--in-place")
    for text in (f"see {samples.ref('v2')}", '{"cut": ', "text\n[{"):
        (folder / "README.md").write_text(text)
        rows = report(capsys, "convert", folder, "--in-place", code=1)["files"]
        assert [row["error"]["code"] for row in rows if "error" in row] == ["invalid_json"]


@pytest.mark.parametrize("command", ["validate", "stats", "convert"])
def test_a_pattern_without_files_beside_one_with_files_is_refused(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--dry-run"] if command == "convert" else []
    given = (folder / "*.jsonl", folder / "*.zst", *more)
    assert main([command, *map(str, given)]) == 1
    said = capsys.readouterr().err
    assert f"{folder}/*.zst: found no file" in said
    assert "source_unavailable" in said
    report(capsys, command, *given, "--allow-empty")


def test_a_folder_that_cannot_be_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`store gc` would take the images of its files for orphans."""
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("d"):
            raise PermissionError(13, "no")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(MMRawError) as caught:
        expanded([str(folder)])
    assert caught.value.code == "source_unavailable"
