"""The vectors themselves: well formed, few enough, and each fault of one is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol.conformance.lint import lint, sort
from mmraw_protocol.conformance.vectors import read_vectors, vectors_folder


def test_the_vectors_are_well_formed() -> None:
    assert list(lint()) == []


GOOD = {"id": "a/1", "op": "parse_ref", "input": {"ref": "x"}, "error": {"code": "not_a_ref"}}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": "nothing"}, "id must be"),
        ({"op": "fly"}, "op must be"),
        ({"spec": "Nowhere"}, "spec must be"),
        ({"error": {"code": "no_such_code"}}, "error must be"),
        ({"error": {"code": "not_a_ref", "message": "x"}}, "error must be"),
        ({"error": {"code": "not_a_ref", "path": "ref"}}, "error must be"),
        ({"error": "not_a_ref"}, "error must be"),
        ({"result": {}}, "exactly one"),
        ({"error": ...}, "exactly one"),
        ({"input": []}, "input must be"),
        ({"input": {"ref": {"$gen": {"what": 1}}}}, "a recipe is"),
        ({"op": "describe", "input": {"path": "images/none.png"}}, "path names no file"),
        ({"note": ""}, "note must be"),
        ({"extra": 1}, "keys must be"),
    ],
)
def test_the_linter_finds_each_fault(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    vector = {**GOOD, **change, "spec": change.get("spec", "Refs")}
    keys = ("id", "op", "input", "result", "error", "spec", "note", "extra")
    vector = {key: vector[key] for key in keys if vector.get(key, ...) is not ...}
    folder = corpus(tmp_path, [{**GOOD, "spec": "Refs"}])
    assert list(lint(folder)) == []
    corpus(tmp_path, [vector])
    (found,) = lint(folder)
    assert found.startswith("file.jsonl:1: ")
    assert fault in found


def test_an_error_may_have_its_path(tmp_path: Path) -> None:
    error = {"code": "not_a_ref", "path": "$.refs[0]"}
    assert list(lint(corpus(tmp_path, [{**GOOD, "error": error, "spec": "Refs"}]))) == []


def corpus(tmp_path: Path, vectors: list[dict[str, Any]]) -> Path:
    folder = tmp_path / "vectors"
    folder.mkdir(exist_ok=True)
    (tmp_path / "README.md").write_text("# Spec\n\n## Refs\n")
    lines = [json.dumps(vector, separators=(",", ":")) + "\n" for vector in vectors]
    (folder / "file.jsonl").write_text("".join(lines))
    return folder


def test_the_linter_finds_doubled_and_unsorted_ids(tmp_path: Path) -> None:
    rows = [{**GOOD, "id": name, "spec": "Refs"} for name in ("a/2", "a/1", "a/2")]
    folder = corpus(tmp_path, rows)
    assert [fault.partition(": ")[2][:10] for fault in lint(folder)] == ["not sorted", "the id sta"]
    sort(folder)
    assert [fault.partition(": ")[2][:10] for fault in lint(folder)] == ["the id sta"]
    (folder / "file.jsonl").write_text('{"id":"a/1","id":"a/2"}\n{"id": "a/3"}\n[]\n{\n')
    assert len([fault for fault in lint(folder) if "compact JSON" in fault]) == 4
    (folder / "file.jsonl").unlink()
    assert list(lint(folder)) == ["vectors: no vectors"]


def test_the_corpus_stays_small() -> None:
    assert len(list(read_vectors())) == len({vector.id for vector in read_vectors()})
    total = sum(path.stat().st_size for path in vectors_folder().rglob("*") if path.is_file())
    assert total < 10_000_000
