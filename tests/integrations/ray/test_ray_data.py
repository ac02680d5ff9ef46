"""Datasets of Ray, checked and rewritten by two workers."""

import gzip
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import samples
import zstandard

import mmraw_protocol.integrations.ray as mmraw_ray
from mmraw_protocol import MMRawError
from mmraw_protocol.files import ConvertJob, StoreSpec
from mmraw_protocol.integrations.ray.lines import lines_of, sources_of
from mmraw_protocol.stores import LocalStore

OLD, NEW, BROKEN = samples.ref("v2"), samples.ref("v3"), samples.ref("v2")[:-4]
DOCUMENTS = {"documents": ["line"], "keep": ["file", "start"]}
PICTURE = samples.data_url(samples.PNG)


def rows_of(count: int, first: int = 0) -> list[bytes]:
    """Lines with a ref each; one in twenty has a broken ref, and one in twenty is no JSON."""
    lines = []
    for number in range(first, first + count):
        ref = BROKEN if number % 20 == 7 else OLD
        line = json.dumps({"id": number, "ref": ref, "pad": "x" * 100}).encode()
        lines.append(b"{" + line if number % 20 == 11 else line)
    return lines


def expected(lines: list[bytes]) -> list[bytes]:
    """The expected results of `rows_of`."""
    return [
        line if line.startswith(b"{{") else line.replace(OLD.encode(), NEW.encode())
        for line in lines
    ]


def lines_in(folder: Path) -> list[bytes]:
    """The lines of all parts, in the order of their names."""
    data = b"".join(path.read_bytes() for path in sorted(folder.glob("part-*.jsonl")))
    return data.removesuffix(b"\n").split(b"\n")


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    # Several members, several frames.
    ".gz": lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
    ".zst": lambda data: b"".join(
        zstandard.ZstdCompressor().compress(part) for part in (data[:5000], data[5000:])
    ),
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_every_line_is_read_once_and_where_it_stands(tmp_path: Path, ending: str) -> None:
    lines = [b"", *rows_of(500), b"", b"x" * 3000, b"no end"]
    data = b"\n".join(lines)
    (tmp_path / f"a.jsonl{ending}").write_bytes(COMPRESSIONS[ending](data))
    (tmp_path / "_SUCCESS").touch()
    # Ranges that end within lines, at their ends, and within one line.
    for task_bytes in (len(data), 1000, len(data) // 7):
        found = mmraw_ray.read_lines([str(tmp_path)], task_bytes=task_bytes).take_all()
        assert [row["line"] for row in found] == lines
        assert all(data[row["start"] :].startswith(row["line"]) for row in found)


def test_lines_are_converted_in_order_and_refusals_are_a_data_set(tmp_path: Path) -> None:
    lines = rows_of(2000)
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    ds = mmraw_ray.read_lines(str(tmp_path / "in.jsonl"), task_bytes=40_000)
    done = mmraw_ray.convert(ds, to="v3", **DOCUMENTS)
    out, told = tmp_path / "out", tmp_path / "refused"
    summary = done.write(str(out), refused=str(told), form="lines")
    assert lines_in(out) == expected(lines)
    assert summary.counts == {"changed": 1800, "refused": 200}
    assert summary.refused == {"invalid_json": 200}
    assert (summary.rows, summary.parts) == (2000, len(list(out.iterdir())))
    refused = pq.read_table(told).to_pylist()
    data = (tmp_path / "in.jsonl").read_bytes()
    ids = [
        json.loads(data[one["start"] :].split(b"\n")[0].replace(b"{{", b"{"))["id"]
        for one in refused
    ]
    assert sorted(ids) == sorted([*range(7, 2000, 20), *range(11, 2000, 20)])
    # The same without a pass of its own, as Datasets.
    assert mmraw_ray.summary(done.results).refused == summary.refused
    assert done.rows.count() == 2000


def test_parquet_keeps_schema_and_metadata(tmp_path: Path) -> None:
    kind = pa.list_(pa.struct([("url", pa.string())]))
    schema = pa.schema([("id", pa.int32()), pa.field("refs", kind)], {"made": "by a test"})
    refs = [[{"url": OLD}, {"url": None}], None, [{"url": BROKEN}]] * 50
    pq.write_table(pa.table([list(range(150)), refs], schema=schema), tmp_path / "in.parquet")
    ds = ray.data.read_parquet(str(tmp_path / "in.parquet"))
    out, told = str(tmp_path / "out"), str(tmp_path / "refused")
    summary = mmraw_ray.convert(ds, to="v3", keep=["id"]).write(out, refused=told)
    written = pq.read_table(out)
    assert written.schema.equals(schema)
    assert (
        written["refs"].to_pylist() == [[{"url": NEW}, {"url": None}], None, [{"url": BROKEN}]] * 50
    )
    assert sum(summary.refused.values()) == 50
    assert pq.read_table(told)["id"].to_pylist() == list(range(2, 150, 3))
    checked = mmraw_ray.summary(mmraw_ray.validate(ray.data.read_parquet(out)))
    assert (checked.counts["ref"], sum(checked.refused.values())) == (100, 50)


def test_every_row_is_read_once_with_the_schema_of_its_file(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int32()), ("text", pa.large_string())], {"made": "by a test"})
    table = pa.table([list(range(1000)), [f"text {n}" for n in range(1000)]], schema=schema)
    for name, rows in (("a.parquet", table), ("b", table.slice(0, 10)), ("c.parquet", table[:0])):
        pq.write_table(rows, tmp_path / name, row_group_size=100)
    size = (tmp_path / "a.parquet").stat().st_size
    for task_bytes in (size, 1000, size // 7):
        ds = mmraw_ray.read_rows([str(tmp_path)], task_bytes=task_bytes)
        found, *_ = ds.iter_batches(batch_format="pyarrow", batch_size=None)
        assert found.schema.equals(schema, check_metadata=True)
        assert [row["id"] for row in ds.take_all()] == [*range(1000), *range(10)]


def test_a_compressed_file_is_written_by_several_tasks(tmp_path: Path) -> None:
    context = ray.data.DataContext.get_current()
    lines = [json.dumps({"id": n, "ref": OLD, "pad": "x" * 2000}).encode() for n in range(8000)]
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines), 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "target_max_block_size", 2 << 20)
        done = mmraw_ray.convert(mmraw_ray.read_lines(str(tmp_path)), to="v3", **DOCUMENTS)
        out = tmp_path / "out"
        summary = done.write(str(out), refused=str(tmp_path / "refused"), form="lines")
    assert summary.parts >= 3
    assert lines_in(out) == [line.replace(OLD.encode(), NEW.encode()) for line in lines]


def test_objects_that_ray_pickles_are_refused() -> None:
    rows = [{"messages": [OLD]}, {"messages": [{"url": OLD}]}]
    ds = ray.data.from_items(rows, override_num_blocks=1)
    for results in (mmraw_ray.validate(ds), mmraw_ray.convert(ds, to="v3").results):
        with pytest.raises(MMRawError, match="which Ray pickles"):
            mmraw_ray.summary(results)


def test_relative_paths_are_those_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text(json.dumps({"url": PICTURE}))
    ds = mmraw_ray.read_lines("in.jsonl")
    done = mmraw_ray.offload(ds, store=StoreSpec("images"), **DOCUMENTS)
    done.write("out", refused="refused", form="lines")
    assert [path.name for path in Path("out").iterdir()] == ["part-000000.jsonl"]
    assert len(list(Path("images").iterdir())) == 1
    with pytest.raises(MMRawError, match="expected a StoreSpec"):
        mmraw_ray.inline(ds, store="images")


def test_a_worker_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    died = tmp_path / "died"

    def die_once(table: Any) -> Any:
        is_time = any(b'"id": 1500,' in line for line in table["line"].to_pylist())
        if is_time and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return table

    lines = rows_of(3000)
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    ds = mmraw_ray.read_lines(str(tmp_path / "in.jsonl"), task_bytes=150_000)
    # Small blocks: part of a task's output is written when it dies.
    ds = ds.map_batches(die_once, batch_format="pyarrow", batch_size=64)
    out = tmp_path / "out"
    done = mmraw_ray.convert(ds, to="v3", **DOCUMENTS)
    summary = done.write(str(out), refused=str(tmp_path / "refused"), form="lines")
    assert died.exists()
    assert lines_in(out) == expected(lines)
    assert summary.refused == {"invalid_json": 300}
    assert len(pq.read_table(tmp_path / "refused")) == 300
    assert not list(out.glob(".*"))


class Dying:
    """A rewriter whose process dies once, in the middle of its work."""

    def __init__(self, died: str) -> None:
        self._rewriter, self._died, self._left = ConvertJob(to="v3").open(), Path(died), 700
        self.prefixes, self.most = self._rewriter.prefixes, self._rewriter.most
        self.drain_stats = self._rewriter.drain_stats

    def rewrite(self, text: str, key: str | None) -> str:
        self._left -= 1
        if not self._left and not self._died.exists():
            self._died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._rewriter.rewrite(text, key)


@dataclass(frozen=True)
class DyingJob:
    """Opens it."""

    died: str

    def open(self) -> Dying:
        return Dying(self.died)


@pytest.mark.parametrize("form", ["lines", "parquet"])
def test_files_are_read_and_written_in_one_task(form: str, tmp_path: Path) -> None:
    lines = rows_of(3000)
    if form == "lines":
        (tmp_path / "in").write_bytes(b"\n".join(lines) + b"\n")
        ds = lines_of(sources_of([str(tmp_path / "in")]), 150_000, refuse=True)
        options = DOCUMENTS
    else:
        table = pa.table({"id": range(3000), "row": [line.decode() for line in lines]})
        pq.write_table(table, tmp_path / "in", row_group_size=500)
        ds, options = mmraw_ray.read_rows(str(tmp_path / "in"), task_bytes=20_000), {"keep": ["id"]}
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    job = DyingJob(str(tmp_path / "died"))
    done = mmraw_ray.Rewriting(ds, job, **options)
    out = tmp_path / "out"
    summary = done.write(str(out), refused=str(tmp_path / "refused"), form=cast("Any", form))
    assert (tmp_path / "died").exists()
    # A row is kept by no task before or behind, and the parts are in the order of the input.
    assert summary.parts == len(list(out.iterdir())) >= 3
    if form == "lines":
        assert lines_in(out) == expected(lines)
        # Nor are lines counted twice.
        faults = [n + 1 for n in range(3000) if n % 20 in (7, 11)]
        assert [one["line"] for one in summary.refusals] == faults[:100]
    else:
        assert [row.encode() for row in pq.read_table(out)["row"].to_pylist()] == expected(lines)
    assert len(pq.read_table(tmp_path / "refused")) == sum(summary.refused.values()) > 0


def test_images_move_into_a_bucket_and_back(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "url": PICTURE}).encode() for n in range(40)]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    store = StoreSpec("s3://images/offloaded")
    ds = mmraw_ray.read_lines(str(tmp_path / "in.jsonl"), task_bytes=100_000)
    done = mmraw_ray.offload(ds, store=store, **DOCUMENTS)
    out, told = "s3://images/rollouts", "s3://images/refused"
    summary = done.write(out, refused=told, form="lines", compression="zstd")
    assert (summary.counts["image"], summary.refused) == (40, {})
    moved = mmraw_ray.read_lines(out)
    checked = mmraw_ray.summary(mmraw_ray.fsck(moved, store, documents=["line"]))
    assert (set(checked.counts), checked.refused) == ({"image"}, {})
    mmraw_ray.inline(moved, store=store, **DOCUMENTS).write(
        str(tmp_path / "back"), refused=str(tmp_path / "refused"), form="lines"
    )
    assert lines_in(tmp_path / "back") == lines
    with pytest.raises(MMRawError, match="expected empty folders"):
        done.write(out, refused=told, form="lines")


def test_what_is_missing_or_different_in_a_store_is_told(tmp_path: Path) -> None:
    local = LocalStore(tmp_path / "images")
    there, other = local.put(samples.PNG), local.put(samples.JPEG)
    refs = [
        samples.ref("v3", raw_image_id=there, mm_hash=there[:32]),
        samples.ref("v3", raw_image_id=other, mm_hash=there[:32]),
        samples.ref("v3", raw_image_id="0" * 64 + ".png", mm_hash="0" * 32),
    ]
    ds = ray.data.from_arrow(pa.table({"id": [5, 6, 7], "ref": refs}))
    results = mmraw_ray.fsck(ds, StoreSpec(str(tmp_path / "images")), keep=["id"]).take_all()
    found = {row["id"]: row["code"] for row in results if row["code"]}
    assert found == {6: "hash_mismatch", 7: "source_unavailable"}
