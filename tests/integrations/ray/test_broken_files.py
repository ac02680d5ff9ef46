"""Broken files among sound ones, with `--engine ray`: a refusal each, and the others are read."""

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
import zstandard

import mmraw_protocol.integrations.ray as mmraw_ray
from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.integrations.ray import lines as ray_lines
from mmraw_protocol.integrations.ray import tables as ray_tables

OLD, NEW = samples.ref("v2"), samples.ref("v3")
#: Each has some 400 bytes, which do not compress.
LINES = [
    json.dumps({"id": n, "ref": OLD, "pad": random.Random(n).randbytes(150).hex()}).encode()
    for n in range(8000)
]
DATA = b"\n".join(LINES) + b"\n"
SQUEEZED: dict[str, bytes] = {
    "gz": gzip.compress(DATA, 1),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress(DATA),
}
BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[: len(data) * 9 // 10],
    "cut off early": lambda data: data[:9],
    "corrupt": lambda data: data[:1_500_000] + bytes(5000) + data[1_505_000:],
}


def reported(tmp_path: Path, *arguments: object, code: int = 1) -> dict[str, Any]:
    """The report of a command."""
    report = tmp_path / "report.json"
    call = [*map(str, arguments), "--engine", "ray", "--quiet", "--report", str(report)]
    assert main(call) == code
    return json.loads(report.read_text())


@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("ending", SQUEEZED)
def test_a_broken_file_of_lines_is_refused_where_it_breaks(
    ending: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    file = folder / f"b.jsonl.{ending}"
    file.write_bytes(BREAKS[fault](SQUEEZED[ending]))
    (folder / "a.jsonl").write_bytes(LINES[0])
    (folder / "c.jsonl").write_bytes(LINES[0] + b"\n" + LINES[1])
    report = reported(tmp_path, "validate", folder)
    (refusal,) = report["refusals"]
    line = refusal.pop("line")
    assert (line == 1) == (fault == "cut off early")
    assert report["checked"] == {"ref": 3 + line - 1, "file": 1}
    assert report["refused_by_code"] == {"source_unavailable": 1}
    files = tmp_path / "files.json"
    main(["validate", str(folder), "--quiet", "--report", str(files)])
    (same,) = json.loads(files.read_text())["refusals"]
    del same["line"], same["message"], refusal["message"]
    assert refusal == same
    capsys.readouterr()

    out, refused = tmp_path / "out", tmp_path / "refused"
    (row,) = reported(tmp_path, "convert", folder, "--out", out, "--refused", refused)["files"]
    assert (row["converted"], row["refused"], row["rows"]) == (line + 2, 1, line + 2)
    (told,) = row["refusals"]
    assert (told["file"], told["line"], told["kind"]) == (str(file), line, "file")
    assert f"{file}:{line}: refused: source_unavailable: " in capsys.readouterr().out
    parts = b"".join(part.read_bytes() for part in sorted(out.iterdir()))
    given = [LINES[0], *LINES[: line - 1], LINES[0], LINES[1]]
    assert parts == b"".join(one.replace(OLD.encode(), NEW.encode()) + b"\n" for one in given)
    (found,) = pq.read_table(refused).to_pylist()
    # Whole lines up to the fault, less what was opened with it at once.
    start = len(b"".join(one + b"\n" for one in LINES[: line - 1]))
    assert (found["path"], found["start"], found["file"]) == (str(file), start, str(file))
    (row,) = reported(tmp_path, "convert", folder, "--dry-run")["files"]
    assert (row["converted"], row["refusals"]) == (line + 2, [told])


def parquet(path: Path, first: int) -> bytes:
    """A file of a thousand rows in ten row groups."""
    ids = range(first, first + 1000)
    table = pa.table({"id": ids, "ref": [OLD] * 1000, "pad": [str(n) * 50 for n in ids]})
    pq.write_table(table, path, row_group_size=100, compression="gzip", use_dictionary=False)
    return path.read_bytes()


@pytest.mark.parametrize("is_end_broken", [True, False])
def test_a_broken_parquet_file_is_refused_once(
    is_end_broken: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows_of = ray_tables.rows_of
    monkeypatch.setattr(ray_tables, "rows_of", lambda files, **how: rows_of(files, 5000, **how))
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate("bca"):
        data = parquet(folder / f"{name}.parquet", 1000 * number)
    # The first in order, so that nothing was read before it.
    file = folder / "a.parquet"
    metadata = pq.read_metadata(file)
    at = metadata.row_group(4).column(2).data_page_offset
    file.write_bytes(data[:-9] if is_end_broken else data[:at] + b"\xff" * 30 + data[at + 30 :])
    report = reported(tmp_path, "validate", folder, "--keep", "id")
    assert report["refused_by_code"] == {"source_unavailable": 1}
    (told,) = report["refusals"]
    assert (told["file"], told["kind"], told["path"]) == (str(file), "file", "$")
    assert "kept" not in told
    assert f"{file}: file refused: source_unavailable at $: a Parquet" in capsys.readouterr().out
    out, refused = tmp_path / "out", tmp_path / "refused"
    call = ("convert", folder, "--out", out, "--refused", refused, "--keep", "id")
    (row,) = reported(tmp_path, *call)["files"]
    assert row["refusals"] == [told]
    assert f"{file}: refused: source_unavailable: a Parquet" in capsys.readouterr().out
    ids = pq.read_table(out)["id"].to_pylist()
    assert row["rows"] == len(ids) == len(set(ids))
    assert set(range(2000)) < set(ids) or is_end_broken
    lost = set(range(3000)) - set(ids)
    # Of a broken page, the rows of its task from its row group on.
    assert lost == set(range(2000, 3000)) if is_end_broken else 2400 in lost < {*range(2400, 2700)}
    assert pq.read_table(refused)["path"].to_pylist() == [str(file)]


def test_a_broken_parquet_file_may_have_a_column_of_any_name(tmp_path: Path) -> None:
    table = pa.table({"ref": [OLD] * 1000, "file": [str(n) * 50 for n in range(1000)]})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=100, compression="gzip", use_dictionary=False)
    data, at = path.read_bytes(), pq.read_metadata(path).row_group(4).column(1).data_page_offset
    path.write_bytes(data[:at] + b"\xff" * 30 + data[at + 30 :])
    report = reported(tmp_path, "validate", path)
    assert report["checked"] == {"ref": 400, "file": 1}
    assert report["refusals"][0]["file"] == str(path)


def test_a_broken_file_is_an_error_for_programs(tmp_path: Path) -> None:
    lines, rows = tmp_path / "a.jsonl.gz", tmp_path / "b.parquet"
    lines.write_bytes(SQUEEZED["gz"][:-9])
    rows.write_bytes(parquet(rows, 0)[:-9])
    for ds in (mmraw_ray.read_lines(str(lines)), mmraw_ray.read_rows(str(rows))):
        with pytest.raises(MMRawError, match="source_unavailable"):
            mmraw_ray.summary(mmraw_ray.validate(ds))


class Store:
    """A file system of one file, which can be read up to some byte and then no longer."""

    def __init__(self, data: bytes, end: int) -> None:
        self._data, self._end = data, end

    def open_input_file(self, path: str) -> "StoredFile":
        return StoredFile(self._data, self._end)


class StoredFile(io.BytesIO):
    """The file, opened."""

    def __init__(self, data: bytes, end: int) -> None:
        super().__init__(data)
        self._end = end

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > self._end:
            raise OSError("AWS Error NETWORK_CONNECTION")
        return data


@pytest.mark.parametrize("end", [0, 1_000_000])
@pytest.mark.parametrize("form", ["jsonl", "gz", "zst", "parquet"])
def test_a_store_that_does_not_answer_fails_the_task(
    form: str, end: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_table = form == "parquet"
    table = pa.table({"ref": [line.decode() for line in LINES]})
    if is_table:
        pq.write_table(table, tmp_path / "a", row_group_size=100)
    else:
        (tmp_path / "a").write_bytes(SQUEEZED.get(form, DATA))
    data = (tmp_path / "a").read_bytes()
    module: Any = ray_tables if is_table else ray_lines
    (source,) = ray_lines.sources_of([str(tmp_path / "a")])
    part = {"number": 0, "name": "a", "path": "a", "start": 0, "end": len(data)}
    part["kind"] = ray_lines.compression_of(source.head)
    parts = pa.table({name: [value] for name, value in part.items()})
    read: Any = module._tables if is_table else module._batches
    monkeypatch.setattr(module, "located", lambda path: (Store(data, end), path))
    with pytest.raises(MMRawError, match="cannot be read") as caught:
        list(read(parts, refuse=True))
    assert (caught.value.code, caught.value.path) == ("source_unavailable", "$[0]")
    monkeypatch.setattr(module, "located", lambda path: (Store(data, len(data)), path))
    assert sum(len(getattr(one, "rows", one)) for one in read(parts, refuse=True)) == len(LINES)
