"""Columns that other writers make and Python cannot say, as inspect and data sets read them."""

from pathlib import Path
from typing import Any, cast

import pytest
import samples
from test_archives import report

from mmraw_protocol import MMRawError, convert_ref
from mmraw_protocol.cli import main
from mmraw_protocol.files.batches import convert_batch
from mmraw_protocol.integrations.indexed_rows import indexed_rows

pa: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")

OLD, UNKNOWN = samples.ref("v2"), "mmraw:v9:x"


def test_text_that_is_not_utf8_is_no_row_and_ends_no_inspection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    _, ends, data = pa.array([b"a", b"\xff"], pa.binary()).buffers()
    text = pa.StringArray.from_buffers(2, ends, data)
    parquet.write_table(pa.table({"text": text, "ref": [OLD, UNKNOWN]}), file)
    assert main(["inspect", str(file)]) == 1
    assert "refused: 1 of 2" in capsys.readouterr().out
    rows = indexed_rows(file)
    assert rows[0]["text"] == "a"
    with pytest.raises(MMRawError) as caught:
        rows[1]
    assert caught.value.code == "invalid_encoding"


@pytest.mark.parametrize("command", ["validate", "inspect"])
def test_of_two_columns_with_one_name_none_is_passed_over(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    table = pa.Table.from_arrays([pa.array([UNKNOWN]), pa.array([OLD])], ["x", "x"])
    parquet.write_table(table, file)
    assert main([command, str(file)]) == 1
    said = capsys.readouterr()
    assert "unsupported_option" in said.out + said.err


def test_a_time_that_python_cannot_say_is_none_in_its_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    column = {
        "day": pa.array([0], pa.date32()),
        "row": pa.array([{"at": 1, "ref": OLD}], pa.struct({"at": "time64[ns]", "ref": "string"})),
        "at": pa.array([1], pa.timestamp("ns")),
    }
    parquet.write_table(pa.table(column), file)
    row = indexed_rows(file)[0]
    assert (row["row"], row["at"]) == ({"ref": OLD}, None)
    assert row["day"].year == 1970
    assert main(["inspect", str(file)]) == 0


def test_bytes_may_be_text_for_inspect_as_for_validate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    parquet.write_table(pa.table({"x": [UNKNOWN.encode(), samples.PNG]}), file)
    for command in ("validate", "inspect"):
        assert main([command, str(file)]) == 1
        assert "unsupported_dialect" in capsys.readouterr().out


def test_a_refusal_in_a_map_has_one_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    kind = pa.map_(pa.string(), pa.list_(pa.string()))
    parquet.write_table(pa.table({"m": pa.array([[("k", [OLD, UNKNOWN])]], kind)}), file)
    found = report(capsys, "validate", file, code=1)["refusals"]
    (row,) = report(capsys, "convert", file, "--dry-run", code=1)["files"]
    for one in (*found, *row["refusals"]):
        assert (one["line"], one["column"], one["path"]) == (1, "m", "$[0][1][1]")


@pytest.mark.parametrize("start", ["\n", "  ", "\t"])
@pytest.mark.parametrize("kind", ["string", "binary"])
def test_blanks_may_stand_before_json_in_a_column(
    start: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts"
    text = f'{start}{{"ref": "%s"}}\n'
    parquet.write_table(
        pa.table({"x": pa.array([(text % OLD).encode()], "binary").cast(kind)}), file
    )
    assert report(capsys, "validate", file)["checked"] == {"ref": 1}
    (row,) = report(capsys, "convert", file, "--in-place")["files"]
    assert row["converted"] == 1
    new = parquet.read_table(file)["x"].cast("string")[0].as_py()
    assert new == text % convert_ref(OLD, "v3")


@pytest.mark.parametrize("text", ["string", "string_view", "binary_view"])
def test_lists_of_a_fixed_size_may_be_null_and_nested(text: str) -> None:
    inner = pa.list_(pa.field("item", getattr(pa, text)(), nullable=False), 2)
    kind = pa.list_(pa.field("item", inner), 2)
    rows = [[["a", "b"], None], None, [["c", OLD], [UNKNOWN, OLD]]]
    values: Any = rows if text != "binary_view" else as_bytes(rows)
    batch = pa.record_batch({"x": pa.array([None, *values], kind).slice(1)})
    found = convert_batch(batch, to="v3")
    found.rows.validate(full=True)
    assert found.rows.schema.equals(batch.schema)
    assert str(found.rows["x"].to_pylist()) == str(values).replace(OLD, convert_ref(OLD, "v3"))
    (refusal,) = (one for one in found.results.to_pylist() if one["code"])
    assert (refusal["row"], refusal["path"]) == (2, "$[1][0]")


def as_bytes(value: Any) -> Any:
    """Lists with bytes in place of text."""
    if isinstance(value, list):
        return [as_bytes(one) for one in cast("list[Any]", value)]
    return value.encode() if value else None
