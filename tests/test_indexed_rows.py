"""Rows of rollout files by their number, whatever the form; what cannot be sought in is copied."""

import gc
import gzip
import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import pytest
import row_forms

from mmraw_protocol import MMRawError
from mmraw_protocol.integrations.indexed_rows import indexed_rows

ROWS: list[dict[str, Any]] = [
    {"n": 0, "token_ids": [1, 2]},
    {"n": 1, "token_ids": [1], "features": {"kwargs_data": {"image": ["a"]}}},
    {"n": 2, "token_ids": [], "features": {"mm_hashes": {"image": ["b", "c"]}}},
    {"n": 3, "token_ids": [3], "parts": [{"text": "x"}, {"image": "y"}]},
    {"n": 4, "token_ids": [4, 5, 6]},
]
#: Forms that are read where they are.
IN_PLACE = ("lines", "Arrow", "saved data set", "objects in memory")


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=row_forms.FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return request.param


def present(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the columns that only other rows have."""
    return {name: value for name, value in row.items() if value is not None}


def test_rows_of_every_form_come_by_their_number(form: str, tmp_path: Path) -> None:
    rows = indexed_rows(row_forms.FORMS[form](tmp_path, ROWS))
    assert len(rows) == 5
    assert [present(rows[n]) for n in (3, 0, 4, 2, 1)] == [ROWS[n] for n in (3, 0, 4, 2, 1)]
    assert present(rows[-1]) == ROWS[4]
    with pytest.raises(IndexError):
        rows[5]


def test_workers_that_are_spawned_read_the_same_rows(form: str, tmp_path: Path) -> None:
    rows = indexed_rows(row_forms.FORMS[form](tmp_path, ROWS))
    there = pickle.loads(pickle.dumps(rows))
    assert [present(there[n]) for n in range(5)] == ROWS
    # Rows that a worker drops are still there for its parent.
    del there
    gc.collect()
    assert present(rows[2]) == ROWS[2]


@pytest.mark.parametrize("form", ["lines", "gzip", "Parquet", "Arrow"])
def test_workers_are_sent_places_and_no_rows(form: str, tmp_path: Path) -> None:
    many = [{"n": n, "text": "x" * 1000} for n in range(200)]
    rows = indexed_rows(row_forms.FORMS[form](tmp_path, many))
    assert rows[7]["n"] == 7
    assert len(pickle.dumps(rows)) < 4000


def test_only_what_cannot_be_sought_in_is_copied(form: str, tmp_path: Path, copies: Path) -> None:
    rows: Any = indexed_rows(row_forms.FORMS[form](tmp_path, ROWS))
    assert len(list(copies.iterdir())) == (form not in IN_PLACE)
    if os.fork() == 0:
        del rows
        gc.collect()
        os._exit(0)
    os.wait()
    assert len(list(copies.iterdir())) == (form not in IN_PLACE)
    del rows
    gc.collect()
    assert list(copies.iterdir()) == []


@pytest.mark.parametrize("form", ["gzip", "Parquet", "Arrow"])
def test_a_file_that_is_cut_off_is_refused_and_leaves_no_copy(
    form: str, tmp_path: Path, copies: Path
) -> None:
    path = row_forms.FORMS[form](tmp_path, ROWS)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MMRawError) as caught:
        indexed_rows(path)
    assert caught.value.code == "source_unavailable"
    assert list(copies.iterdir()) == []


def test_objects_of_a_store_are_copied(
    tmp_path: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """obstore's own client, with a folder behind it."""
    obstore: Any = pytest.importorskip("obstore.store")
    store = obstore.LocalStore(tmp_path)
    monkeypatch.setattr("mmraw_protocol.files.remote.client_for", lambda *_: store)
    row_forms.FORMS["folder"](tmp_path, ROWS)
    (tmp_path / "b").mkdir()
    row_forms.FORMS["saved data set"](tmp_path / "b", ROWS)
    for place, count in (("files/", 2), ("b/saved/", 2), ("files/a.jsonl", 1)):
        rows: Any = indexed_rows(f"s3://bucket/{place}")
        assert [present(rows[n]) for n in range(len(rows))] == ROWS[: len(rows)]
        assert len(rows) == (1 if place == "files/a.jsonl" else 5)
        assert len(list(copies.iterdir())) == count
        del rows
        gc.collect()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"train": ROWS}, "unsupported_option"),
        (iter(ROWS), "unsupported_option"),
        ("absent.jsonl", "source_unavailable"),
        ("absent-*.jsonl", "source_unavailable"),
    ],
    ids=["splits", "an iterator", "no file", "no match"],
)
def test_a_source_without_rows_is_refused(source: Any, code: str) -> None:
    with pytest.raises(MMRawError) as caught:
        indexed_rows(source)
    assert caught.value.code == code


@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_over_many_lines_is_a_row_and_an_array_with_a_fault_is_none(
    indent: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "rollouts.json"
    path.write_text("\n" + json.dumps(ROWS[1], indent=indent) + "\n")
    rows = indexed_rows(path)
    assert (len(rows), rows[0]) == (1, ROWS[1])
    if indent:
        # As `jq` prints the rows of a file.
        path.write_text("\n".join(json.dumps(row, indent=indent) for row in ROWS[1:]))
        rows = indexed_rows(path)
        assert [rows[n] for n in range(len(rows))] == ROWS[1:]
    path.write_text(json.dumps(ROWS, indent=indent) + "x")
    with pytest.raises(MMRawError) as caught:
        indexed_rows(path)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("packed", [False, True])
def test_rows_behind_a_first_line_that_is_cut_off_are_rows(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    lines = [json.dumps(row) for row in ROWS]
    data = "\n".join([lines[0][:20], *lines[1:]]).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    rows = indexed_rows(path)
    assert [rows[n] for n in range(1, len(rows))] == ROWS[1:]
    with pytest.raises(MMRawError) as caught:
        rows[0]
    assert caught.value.code == "invalid_json"
