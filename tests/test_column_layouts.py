"""Rare layouts of Arrow columns: no text in them is passed over unnoticed."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import samples
from test_archives import report
from test_batches import BROKEN, NEW, OLD, PICTURE, counts, refused, to_v3

from mmraw_protocol import MMRawError
from mmraw_protocol.files import StoreSpec
from mmraw_protocol.files.batches import (
    convert_batch,
    describe_batch,
    inline_batch,
    offload_batch,
    references_batch,
    validate_batch,
)
from mmraw_protocol.stores import LocalStore

pa: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")


class Notes(pa.ExtensionType):
    """A type of a program's own, over another type."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage, "tests.notes")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Any:
        return cls(storage_type)


def rows_of(array: Any) -> Any:
    return pa.RecordBatch.from_arrays([array], ["x"])


def noted(values: list[Any], storage: Any) -> Any:
    return pa.ExtensionArray.from_storage(Notes(storage), pa.array(values, storage))


def dictionary(values: Any) -> Any:
    indices = pa.array([0, None, 1, 2, 0], pa.int8())
    return pa.DictionaryArray.from_arrays(indices, values, ordered=True)


def in_dictionary(text: str) -> Any:
    return dictionary(pa.array([text, None, "text"], pa.string_view()))


def in_extension(text: str) -> Any:
    return noted([text, None, "text", text], pa.string())


def deep_in_extension(text: str) -> Any:
    inner = noted([text, "text", text], pa.large_string())
    return pa.StructArray.from_arrays([inner], ["notes"])


@pytest.mark.parametrize("made", [in_dictionary, in_extension, deep_in_extension])
def test_refs_are_found_and_rewritten(made: Any) -> None:
    given = rows_of(made(OLD))
    rows, results = to_v3(given)
    assert (counts(results), counts(validate_batch(given))) == ({"changed": 2}, {"ref": 2})
    assert rows.schema.equals(given.schema)
    assert rows["x"].to_pylist() == made(NEW).to_pylist()
    assert [one[3] for one in refused(validate_batch(rows_of(made(BROKEN))))] == [
        "invalid_json"
    ] * 2


@pytest.mark.skipif(not hasattr(pa, "json_"), reason="pyarrow before 19 has no type for JSON")
def test_columns_of_json_in_parquet_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [json.dumps({"ref": one}) for one in (OLD, OLD, BROKEN)]
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts))
    parquet.write_table(pa.table({"x": column}), tmp_path / "a.parquet")
    checked = report(capsys, "validate", tmp_path / "a.parquet", code=1)
    assert (checked["checked"], checked["refusals"][0]["line"]) == ({"ref": 3}, 3)
    report(capsys, "convert", tmp_path, "--in-place", "--on-error", "keep", code=1)
    written = parquet.read_table(tmp_path / "a.parquet")
    assert written.schema.field("x").type == pa.json_()
    assert [json.loads(one)["ref"] for one in written["x"].to_pylist()] == [NEW, NEW, BROKEN]


def test_text_that_is_not_utf8_stays_and_hides_nothing() -> None:
    values = [b"caf\xe9", OLD.encode(), b"mmraw:\xff"]
    texts = pa.array(values, pa.binary()).view(pa.string())
    for column in (texts, pa.StructArray.from_arrays([texts], ["t"])):
        rows, results = to_v3(rows_of(column))
        new = rows["x"].field("t") if isinstance(rows["x"], pa.StructArray) else rows["x"]
        assert new.cast(pa.binary()).to_pylist() == [values[0], NEW.encode(), values[2]]
        for found in (results, validate_batch(rows_of(column))):
            assert [(row, code) for row, _, _, code in refused(found)] == [(2, "invalid_encoding")]
        assert describe_batch(rows_of(column))["row"].to_pylist() == [1, 2]


BESIDE = {
    "dates after the year 9999": pa.array([2**62, 1], pa.timestamp("s")),
    "long durations": pa.array([2**62, 1], pa.duration("s")),
    "nanoseconds": pa.array([1, 2], pa.timestamp("ns", "UTC")),
    "a field of the same name": pa.array(["text", None]),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_python_cannot_hold_hides_no_ref(name: str) -> None:
    given = rows_of(pa.StructArray.from_arrays([BESIDE[name], pa.array([OLD, BROKEN])], ["u", "u"]))
    assert counts(validate_batch(given)) == {"ref": 2}
    assert describe_batch(given)["row"].to_pylist() == [0, 1]
    assert counts(to_v3(given).results) == {"changed": 1, "refused": 1}


NOT_REWRITTEN = {
    "list view": pa.array([[OLD], None, [OLD, BROKEN]], pa.list_view(pa.string())),
    "run ends": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([OLD, BROKEN])),
    "dictionary of structs": dictionary(pa.array([{"u": OLD}, {"u": "x"}, {"u": BROKEN}])),
}


@pytest.mark.parametrize("name", NOT_REWRITTEN)
def test_layouts_that_are_only_checked(name: str) -> None:
    given = rows_of(NOT_REWRITTEN[name]).slice(1)
    found = validate_batch(given)
    last = {"list view": 1, "run ends": 1, "dictionary of structs": 2}[name]
    assert (counts(found), [one[0] for one in refused(found)]) == ({"ref": 2}, [last])
    with pytest.raises(MMRawError, match="is not rewritten") as caught:
        to_v3(given)
    assert caught.value.code == "unsupported_option"


def test_text_in_unions_is_refused() -> None:
    codes = pa.array([0, 1], pa.int8())
    union = pa.UnionArray.from_sparse(codes, [pa.array([OLD, OLD]), pa.array([1, 2])])
    for work in (validate_batch, describe_batch, to_v3):
        with pytest.raises(MMRawError, match="unsupported_option"):
            work(rows_of(union))


def test_images_in_bytes_are_described() -> None:
    given = rows_of(pa.array([PICTURE.encode(), None, b"DATA:image/png;base64,"], pa.binary()))
    facts = describe_batch(given).to_pylist()
    assert [(one["row"], one["code"]) for one in facts] == [(0, None), (2, "invalid_raw_uri")]
    nested = rows_of(
        pa.array([[{"b": PICTURE.encode()}]], pa.list_(pa.struct([("b", pa.binary())])))
    )
    assert describe_batch(nested)["bytes"].to_pylist() == [len(samples.PNG)]


def test_a_batch_without_changes_is_the_same_object() -> None:
    for given in (rows_of(pa.array(["text"])), rows_of(pa.array([1, 2, 3])).select([])):
        assert to_v3(given).rows is given


def test_columns_of_one_name_are_refused_where_rows_are_read() -> None:
    given = pa.RecordBatch.from_arrays([pa.array([OLD])] * 2, ["x", "x"])
    assert counts(to_v3(given).results) == {"changed": 2}
    place = StoreSpec("unused")
    for work in (validate_batch, describe_batch, lambda batch: references_batch(batch, place)):
        with pytest.raises(MMRawError, match="two with one name"):
            work(given)


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a table": (pa.table({"x": [OLD]}), {}, "got Table"),
    "a column": (pa.chunked_array([[OLD]]), {}, "got ChunkedArray"),
    "rows": ([{"x": OLD}], {}, "got list"),
    "a name to keep": (rows_of(pa.array([OLD])), {"keep": ["y"]}, "got none"),
    "a name of documents": (rows_of(pa.array([OLD])), {"documents": ["y"]}, "got none"),
    "names as a string": (rows_of(pa.array([OLD])), {"documents": "x"}, "got a string"),
    "documents of lists": (rows_of(pa.array([[OLD]])), {"documents": ["x"]}, "got other values"),
}


def test_a_store_is_a_spec() -> None:
    place: Any = "s3://bucket/images"
    for work in (convert_batch, offload_batch, inline_batch, references_batch):
        with pytest.raises(MMRawError, match="expected a StoreSpec as the store, got str"):
            work(rows_of(pa.array([OLD])), store=place)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_plainly(name: str) -> None:
    given, options, message = WRONG[name]
    for work in (validate_batch, describe_batch, to_v3):
        with pytest.raises(MMRawError, match=message):
            work(given, **options)


def test_views_are_kept_beside_results() -> None:
    columns = [pa.array(["a", None, "c"], pa.string_view()), pa.array([OLD, BROKEN, BROKEN])]
    found = validate_batch(pa.RecordBatch.from_arrays(columns, ["id", "x"]), keep=["id"])
    assert found["id"].to_pylist() == [None, "c", None]
    assert found.schema.field("id").type == pa.string_view()


def test_engines_have_batches_without_columns_for_no_rows() -> None:
    given = rows_of(pa.array([1])).slice(1).select([])
    options: dict[str, Any] = {"keep": ["id"], "documents": ["line"]}
    assert validate_batch(given, **options).num_rows == 0
    assert to_v3(given, **options).rows is given


def test_fsck_reads_rare_layouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = LocalStore(tmp_path / "store").put(samples.PNG)
    ref = samples.ref("v3", raw_image_id=name, mm_hash=name[:32])
    texts = pa.array([b"\xff", ref.encode()], pa.binary()).view(pa.string())
    dates = pa.array([2**40, 1], pa.timestamp("s"))
    column = pa.StructArray.from_arrays([texts, dates], ["ref", "at"])
    sink = io.BytesIO()
    parquet.write_table(pa.table({"x": column}), sink)
    (tmp_path / "a").write_bytes(sink.getvalue())
    found = report(capsys, "store", "fsck", tmp_path / "a", "--store", tmp_path / "store")
    assert (found["mentions"], found["orphaned"]) == (1, [])
