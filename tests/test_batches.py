"""Arrow batches of any layout: checked, described and rewritten as files are."""

import io
import json
import pickle
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol import MMRawError, open_store, parse_ref
from mmraw_protocol.files import ConvertJob, StoreSpec, rewrite
from mmraw_protocol.files.batches import (
    convert_batch,
    describe_batch,
    inline_batch,
    offload_batch,
    references_batch,
    validate_batch,
)
from mmraw_protocol.files.lines import is_text
from mmraw_protocol.files.validation import check_document
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.item import KIND

pa: Any = pytest.importorskip("pyarrow")

OLD, BROKEN = samples.ref("v2"), samples.ref("v2")[:-4]
NEW, UNKNOWN = samples.ref("v3"), samples.ref("v3").replace("v3", "v9", 1)
PICTURE = samples.data_url(samples.PNG)
to_v3 = partial(convert_batch, to="v3")


def batch_of(values: list[Any], kind: Any, name: str = "x") -> Any:
    schema = pa.schema([pa.field(name, kind, metadata={"of": "a field"})], {"of": "a schema"})
    return pa.RecordBatch.from_arrays([pa.array(values, kind)], schema=schema)


def refused(results: Any) -> list[tuple[Any, ...]]:
    """Row, column, path and code of the refusals."""
    lines = [line for line in results.to_pylist() if line["code"]]
    return [(one["row"], one["column"], one["path"], one["code"]) for one in lines]


def counts(results: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in results.to_pylist():
        found[line["kind"]] = found.get(line["kind"], 0) + line["count"]
    return found


def json_text(value: Any) -> str:
    return json.dumps({"a": [value, 1.50], "b": "ä"}, ensure_ascii=False)


STRUCT = pa.struct([("url", pa.string()), ("n", pa.int8())])
#: A layout's type, and a value in it that holds a text.
LAYOUTS: dict[str, tuple[Any, Any]] = {
    "string": (pa.string(), lambda text: text),
    "large string": (pa.large_string(), lambda text: text),
    "string view": (pa.string_view(), lambda text: text),
    "binary": (pa.binary(), lambda text: text.encode()),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), lambda text: text),
    "JSON text": (pa.string(), json_text),
    "JSON over lines": (pa.string(), lambda text: json.dumps({"a": text}, indent=1)),
    "list": (pa.list_(pa.string()), lambda text: [None, "", text]),
    "large list": (pa.large_list(pa.string()), lambda text: [text, text]),
    "list of two": (pa.list_(pa.string(), 2), lambda text: [text, "x"]),
    "list of bytes": (pa.list_(pa.binary()), lambda text: [b"\xff", text.encode()]),
    "map": (pa.map_(pa.string(), pa.string()), lambda text: [("k", text)]),
    "struct": (STRUCT, lambda text: {"url": text, "n": 1}),
    "messages": (
        pa.list_(pa.struct([("content", pa.list_(STRUCT))])),
        lambda text: [{"content": []}, {"content": [{"url": "x", "n": None}, {"url": text}]}],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_refs_are_rewritten_in_columns_of_any_layout(layout: str) -> None:
    kind, value = LAYOUTS[layout]
    given = batch_of([None, value(OLD), value("text"), value(OLD)], kind)
    # A part of a longer batch has offsets of its own.
    rows, results = to_v3(given.slice(1))
    assert rows.equals(batch_of([value(NEW), value("text"), value(NEW)], kind))
    assert rows.schema.equals(given.schema, check_metadata=True)
    assert counts(results)["changed"] in (2, 4)
    rows.validate(full=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_refs_are_found_in_columns_of_any_layout(layout: str) -> None:
    kind, value = LAYOUTS[layout]
    given = batch_of([value(OLD), None, value(BROKEN)], kind)
    found = validate_batch(given)
    assert {(row, column) for row, column, _, _ in refused(found)} == {(2, "x")}
    assert counts(found)["ref"] in (2, 4)
    assert set(describe_batch(given)["row"].to_pylist()) == {0, 2}


def test_images_as_bytes_are_images_of_the_messages_beside_them() -> None:
    messages = [{"role": "user", "content": [{"type": "image"}]}]
    row = {"messages": messages, "images": [{"bytes": samples.PNG, "path": None}]}
    found = validate_batch(pa.RecordBatch.from_pylist([row]))
    assert (counts(found), refused(found)) == ({"messages": 1}, [])


def test_a_row_of_columns_is_judged_without_the_rows_beside_it() -> None:
    rows = [
        {"kwargs_data": None, "mm_hashes": None, "ref": OLD},
        {"kwargs_data": "{}", "mm_hashes": "{}", "ref": OLD},
    ]
    schema = pa.schema([(name, pa.string()) for name in rows[0]])

    def found(given: list[dict[str, Any]]) -> Any:
        return counts(validate_batch(pa.RecordBatch.from_pylist(given, schema)))

    assert found(rows) == {"features": 2} == Counter(found(rows[:1])) + Counter(found(rows[1:]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_without_refs_is_the_same(layout: str) -> None:
    kind, value = LAYOUTS[layout]
    given = batch_of([value("text"), None], kind)
    rows, results = to_v3(given)
    assert rows.equals(given)
    assert results.num_rows == 0


def test_a_refused_row_stays_and_is_told_with_its_place() -> None:
    kind, value = LAYOUTS["messages"]
    given = pa.RecordBatch.from_arrays(
        [pa.array(["a", "b"]), pa.array([value(OLD), value(BROKEN)], kind)], ["id", "messages"]
    )
    rows, results = to_v3(given, keep=["id"])
    assert rows["messages"].to_pylist()[1] == given["messages"].to_pylist()[1]
    path = "$[1].content[1].url"
    assert [one[:2] for one in refused(results)] == [(1, "messages")]
    assert refused(results)[0][2].startswith(path)
    assert results["id"].to_pylist() == ["b", None]
    assert counts(results) == {"refused": 1, "changed": 1}


def test_a_column_to_keep_may_not_hide_the_results() -> None:
    with pytest.raises(MMRawError, match="rename"):
        validate_batch(batch_of([NEW], pa.string(), "row"), keep=["row"])


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=str)
@given(texts=st.lists(st.sampled_from([OLD, BROKEN, NEW, "{", "text", '"' + OLD + '"', "", "\n"])))
def test_every_line_is_what_the_file_of_it_alone_would_be(kind: Any, texts: list[str]) -> None:
    pretty = json.dumps({"a": [OLD, BROKEN]}, indent=1)
    plain = {"{": "{", "": "", "\n": pretty}
    lines = [plain.get(text) or json_text(text) if text else text for text in texts]
    given_rows = batch_of(lines, kind)
    rows, results = to_v3(given_rows, documents=["x"])
    assert rows.schema == given_rows.schema
    if OLD not in "".join(lines):
        assert rows is given_rows
    broken = set()
    for number, line in enumerate(lines):
        parts: list[bytes] = []
        try:
            report = rewrite(
                io.BytesIO(line.encode()).read, parts.append, ConvertJob(), on_error="keep"
            )
            assert rows["x"][number].as_py() == b"".join(parts)
            broken |= {number} if report.refused else set()
        except MMRawError:
            broken.add(number)
            assert rows["x"][number].as_py() == line.encode()
    assert {row for row, *_ in refused(results)} == broken


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.string_view()], ids=str)
def test_documents_may_be_a_dictionary(kind: Any) -> None:
    values: Any = pa.array([json_text(OLD), BROKEN], kind)
    texts: Any = pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 0]), values)
    rows = pa.RecordBatch.from_arrays([texts], ["x"])
    results = validate_batch(rows, documents=["x"])
    assert counts(results) == {"ref": 3}
    assert [row for row, *_ in refused(results)] == [0]
    assert counts(to_v3(rows, documents=["x"]).results) == {"changed": 2, "refused": 1}


#: Texts with which rows are checked together, or which keep them from it.
TEXTS = [
    *(NEW, OLD, BROKEN, f" {NEW}", "mmraw:\n", "text", " [x", "{", "", None, KIND),
    *(json_text(NEW), json_text(BROKEN), json.dumps({"a": OLD}, indent=1)),
    json.dumps(samples.envelope()),
]
texts = st.sampled_from(TEXTS)


@given(st.lists(st.tuples(texts, st.sampled_from([NEW, OLD, "text"])), min_size=1, max_size=40))
def test_rows_that_are_checked_together_give_what_each_gives(pairs: list[tuple[Any, Any]]) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*pairs, strict=True)]
    given = pa.RecordBatch.from_arrays(columns, ["kind", "a"])
    found: Counter[str] = Counter()
    told: list[tuple[Any, ...]] = []
    for row in range(given.num_rows):
        results = validate_batch(given.slice(row, 1))
        found.update(counts(results))
        told += [(row, *one[1:]) for one in refused(results)]
    results = validate_batch(given)
    assert counts(results) == found
    assert refused(results) == told


@given(st.lists(texts, max_size=40))
def test_documents_are_checked_as_each_alone(rows: list[str | None]) -> None:
    given = batch_of(rows, pa.string())
    results = validate_batch(given, documents=["x"])
    found: Counter[str] = Counter()
    told: list[tuple[Any, ...]] = []
    for row, text in enumerate(rows):
        one = (text or "").strip()
        if not is_text(one.encode()):
            for finding in check_document(one) if one else ():
                found[finding.kind] += 1
                errors = () if finding.error is None else (finding.error, *finding.others)
                told += [(row, "x", error.path, error.code) for error in errors]
    assert counts(results) == found
    assert refused(results) == told


def test_more_refusals_than_a_report_names_are_all_told() -> None:
    lines = [json_text(BROKEN)] * 130 + [json.dumps([BROKEN] * 3)] * 40
    _, results = to_v3(batch_of(lines, pa.string()))
    assert len(refused(results)) == 130 + 120
    # Of one value, the first are named, and all are counted.
    for documents in ((), ("x",)):
        _, results = to_v3(batch_of([json.dumps([BROKEN] * 250)], pa.string()), documents=documents)
        assert (len(refused(results)), counts(results)) == (100, {"refused": 250})


def test_text_in_a_column_of_documents_is_checked_and_not_rewritten() -> None:
    given = batch_of(["[INST] hello", f"got {UNKNOWN}", "{cut off", json_text(OLD)], pa.string())
    assert refused(to_v3(given).results) == []
    told = [(row, code) for row, _, _, code in refused(validate_batch(given, documents=["x"]))]
    assert told == [(1, "unsupported_dialect"), (2, "invalid_json")]
    # The place in the line is reported, as for files; also where a text has several.
    for more in ([], ["a\nb"]):
        found = validate_batch(batch_of([f" got {UNKNOWN}", *more], pa.string()), documents=["x"])
        assert [one["byte"] for one in found.to_pylist() if one["code"]] == [6]
    told = [(row, code) for row, _, _, code in refused(to_v3(given, documents=["x"]).results)]
    assert told == [(0, "invalid_json"), (1, "invalid_json"), (2, "invalid_json")]


def test_images_move_into_the_store_and_back(tmp_path: Path) -> None:
    place = StoreSpec(str(tmp_path / "images"), "exp42")
    kind, value = LAYOUTS["messages"]
    given = batch_of([value(PICTURE), value("data:image/png;base64,AAAA")], kind)
    moved, results = offload_batch(given, store=place)
    assert counts(results) == {"changed": 1, "image": 1, "refused": 1}
    assert max(filter(None, results["bytes"].to_pylist())) == len(samples.PNG)
    (name,) = LocalStore(tmp_path / "images").list()
    images = references_batch(moved, place)
    assert images["raw_image_id"].to_pylist() == [name]
    assert inline_batch(moved, store=place).rows.equals(given)


@pytest.mark.parametrize("code", ["store_unavailable", "store_full", "store_permission"])
def test_a_store_that_fails_is_no_fault_of_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: Any
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise MMRawError(code, "no answer")

    place = StoreSpec(str(tmp_path / code))
    monkeypatch.setattr(LocalStore, "put", fail)
    with pytest.raises(MMRawError) as caught:
        offload_batch(batch_of([PICTURE], pa.string()), store=place)
    # As it comes back from another process.
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.code, again.message, again.path) == (code, "no answer", "$")


def test_an_image_that_is_missing_is_a_refusal(tmp_path: Path) -> None:
    place = StoreSpec(str(tmp_path / "images"))
    moved = offload_batch(batch_of([PICTURE], pa.string()), store=place).rows
    LocalStore(tmp_path / "images").delete(next(LocalStore(tmp_path / "images").list()))
    rows, results = inline_batch(moved, store=place)
    assert [one[3] for one in refused(results)] == ["source_unavailable"]
    assert rows.equals(moved)


def test_the_columns_of_a_row_are_checked_together() -> None:
    part = pa.struct([("type", pa.string())])
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(part))]))
    messages = [{"role": "user", "content": [{"type": "image"}]}]
    given = pa.RecordBatch.from_arrays(
        [
            pa.array([messages, messages, None], kind),
            pa.array([[PICTURE], [PICTURE] * 2, None], pa.list_(pa.string())),
            pa.array([json_text(NEW), None, json_text(BROKEN)]),
        ],
        ["messages", "images", "a.log"],
    )
    results = validate_batch(given)
    assert [one[:2] for one in refused(results)] == [(1, "images"), (2, "a.log")]
    assert refused(results)[1][2].startswith("$.*[0]")
    assert counts(results) == {"messages": 2, "ref": 2}


def test_a_batch_is_described() -> None:
    kind, value = LAYOUTS["messages"]
    facts = describe_batch(batch_of([value(NEW), value(PICTURE), value(BROKEN)], kind)).to_pylist()
    assert [one["row"] for one in facts] == [0, 1, 2]
    ref = parse_ref(NEW)
    assert (facts[0]["dialect"], facts[0]["family"]) == ("v3", ref.family)
    assert facts[0]["tokens"] == samples.GRID[1] * samples.GRID[2] // 4
    assert facts[1]["bytes"] == len(samples.PNG)
    assert facts[2]["code"] == "invalid_json"


def test_functions_go_to_other_processes_and_open_a_store_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr(
        "mmraw_protocol.files.jobs.open_store",
        lambda *args, **options: opened.append(args) or open_store(*args, **options),
    )
    work = partial(offload_batch, store=StoreSpec(str(tmp_path / "images")))
    given = batch_of([PICTURE], pa.string())
    for _ in range(3):
        pickle.loads(pickle.dumps(work))(given)
    assert len(opened) == 1


def test_refs_within_the_text_of_a_value_are_found() -> None:
    columns = {
        "event": [f"sent {NEW}, 200", "mmraw has no ref here", None],
        "body": [b"\x89PNG", f"= {NEW}".encode(), json_text(f"see {UNKNOWN}").encode()],
        "said": [{"text": [f"What is {NEW}?"]}, None, {"text": []}],
    }
    results = validate_batch(pa.RecordBatch.from_pydict(columns))
    assert refused(results) == [(2, "body", "$.*[0]", "unsupported_dialect")]
    assert counts(results) == {"ref": 4}
