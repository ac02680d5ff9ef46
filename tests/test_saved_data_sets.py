"""Folders that `datasets` saved to disk: rows are read, and what describes them goes along."""

import json
from pathlib import Path
from typing import Any

import pytest
import row_forms
import samples
from test_archives import report

from mmraw_protocol import convert_ref
from mmraw_protocol.stores import LocalStore

ipc: Any = pytest.importorskip("pyarrow.ipc")

OLD = samples.ref("v2")
NAMES = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Four rows in two files, without a cache."""
    rows = [{"n": n, "ref": OLD} for n in range(4)]
    folder = row_forms.FORMS["saved data set"](tmp_path, rows)
    (folder / "cache-1.arrow").unlink()
    return folder


def refs(file: Path) -> list[str]:
    return ipc.open_stream(file).read_all()["ref"].to_pylist()


def test_what_describes_a_data_set_is_no_rollout(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A data set with a column `features` has a description with a key `features`."""
    split = saved.rename(saved.parent / "train")
    (saved.parent / "dataset_dict.json").write_text('{"splits": ["train"]}')
    for place in (split, split.parent, f"{split.parent}/*/*"):
        assert report(capsys, "validate", place)["checked"]["ref"] >= 4
    # Without a description beside it, a file of such a name is one of rollouts.
    (split / "dataset_info.json").unlink()
    (split / "state.json").write_text(json.dumps(OLD))
    assert report(capsys, "validate", split)["checked"] == {"ref": 5}


def test_a_converted_data_set_is_whole(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(capsys, "convert", saved, "--out", tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        *NAMES, "dataset_info.json", "state.json",
    ]  # fmt: skip
    for name in ("dataset_info.json", "state.json"):
        assert (tmp_path / "new" / name).read_bytes() == (saved / name).read_bytes()
    assert [refs(tmp_path / "new" / name) for name in NAMES] == [[convert_ref(OLD, "v3")] * 2] * 2
    rows = report(capsys, "convert", saved, "--in-place")["files"]
    assert [Path(row["file"]).name for row in rows] == NAMES


@pytest.mark.parametrize("command", ["fsck", "gc"])
def test_store_commands_read_folders_and_patterns(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(tmp_path / "store")
    rows = [{"n": n, "image": store.url(store.put(samples.PNG))} for n in range(4)]
    saved = row_forms.FORMS["saved data set"](tmp_path, rows)
    options = ("--store", tmp_path / "store")
    for place in (saved, saved / "*.arrow"):
        found = report(capsys, "store", command, place, *options)
        assert found["referred" if command == "gc" else "mentions"] == 1
    # A name that stands for no file is never passed over.
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "*.absent"):
        found = report(capsys, "store", command, saved, place, *options, code=1)
        assert [one["code"] for one in found["problems"]] == ["source_unavailable"]
