"""The batch functions within `datasets`: map over Arrow tables, in one process or several."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
import samples

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import main
from mmraw_protocol.files import StoreSpec
from mmraw_protocol.files.batches import convert_batch, offload_batch, validate_batch
from mmraw_protocol.integrations.indexed_rows import indexed_rows

OLD, NEW, BROKEN = samples.ref("v2"), samples.ref("v3"), samples.ref("v2")[:-4]


def to_v3(table: Any) -> Any:
    return pa.Table.from_batches([convert_batch(one, to="v3").rows for one in table.to_batches()])


def refusals(table: Any) -> Any:
    results = [validate_batch(one, keep=["id"]) for one in table.to_batches()]
    found = pa.Table.from_batches(results)
    return found.filter(found["code"].is_valid())


def test_a_data_set_is_converted_and_keeps_its_features(tmp_path: Path) -> None:
    rows = [
        {"id": n, "turns": [{"role": "user", "ref": OLD}], "meta": json.dumps({"ref": OLD})}
        for n in range(100)
    ]
    given = datasets.Dataset.from_list([*rows, {"id": 100, "turns": [], "meta": BROKEN}])
    given.save_to_disk(tmp_path / "in")
    loaded = datasets.load_from_disk(tmp_path / "in")
    for processes in (None, 2):
        made = loaded.with_format("arrow").map(
            to_v3, batched=True, batch_size=30, features=loaded.features, num_proc=processes
        )
        made = made.with_format(None)
        assert made.features == loaded.features
        assert made[99]["turns"][0]["ref"] == NEW
        assert json.loads(made[99]["meta"]) == {"ref": NEW}
        assert made["id"][:] == list(range(101))
        assert made[100]["meta"] == BROKEN
    told = loaded.with_format("arrow").map(
        refusals, batched=True, batch_size=30, remove_columns=loaded.column_names
    )
    assert [(one["id"], one["column"]) for one in told.with_format(None)] == [(100, "meta")]


def test_a_saved_data_set_is_converted_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = datasets.Dataset.from_list([{"id": n, "features": {"ref": OLD}} for n in range(50)])
    splits = datasets.DatasetDict({"train": rows, "test": rows.select(range(3))})
    splits.save_to_disk(tmp_path / "in", num_shards={"train": 2, "test": 1})
    assert main(["validate", str(tmp_path / "in"), "--quiet"]) == 0
    assert main(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    loaded = datasets.load_from_disk(tmp_path / "out")
    assert loaded["train"].features == rows.features
    for name, count in (("train", 50), ("test", 3)):
        assert [row["id"] for row in loaded[name]] == list(range(count))
        assert {row["features"]["ref"] for row in loaded[name]} == {NEW}


def test_a_data_set_of_rollouts_takes_them_saved_and_loaded(tmp_path: Path) -> None:
    rows = [{"token_ids": [n], "features": {"image": [OLD]} if n % 2 else None} for n in range(9)]
    given = datasets.Dataset.from_list(rows)
    given.save_to_disk(tmp_path / "in", num_shards=2)
    for source in (tmp_path / "in", given, given.select([8, 1, 4]), datasets.load_from_disk):
        source = source(tmp_path / "in") if callable(source) else source
        found = indexed_rows(source)
        order = [8, 1, 4] if len(found) == 3 else range(9)
        assert [found[at] for at in range(len(found))] == [rows[n] for n in order]
    with pytest.raises(MMRawError, match="unsupported_option"):
        indexed_rows(datasets.DatasetDict({"train": given}))


def test_processes_of_a_map_share_a_store(tmp_path: Path) -> None:
    picture = samples.data_url(samples.PNG)
    given = datasets.Dataset.from_dict({"image": [picture] * 20})
    place = StoreSpec(str(tmp_path / "images"))
    # The parent has the store open already.
    offload_batch(pa.record_batch([[picture]], ["image"]), store=place)

    def move(table: Any) -> Any:
        return pa.Table.from_batches(
            [offload_batch(b, store=place).rows for b in table.to_batches()]
        )

    made = given.with_format("arrow").map(move, batched=True, batch_size=4, num_proc=2)
    (name,) = {row["image"].rpartition("/")[2] for row in made.with_format(None)}
    assert (tmp_path / "images" / name).read_bytes() == samples.PNG
