"""Rollouts in every form of file, as a data set: the batches are those of JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import processors
import pytest
import row_forms
import torch

from mmraw_protocol import MMRawError, build_features, get_adapter, mm_data, pack_images
from mmraw_protocol.integrations.rollouts import RolloutDataset
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.stores import LocalStore

PAD, FILL = 9, 0


@pytest.fixture
def maker(tmp_path: Path) -> TensorMaker:
    LocalStore(tmp_path / "images")
    adapter = get_adapter("qwen_vl")
    store = str(tmp_path / "images")
    return TensorMaker(processors.ByName("qwen_vl"), store=store, adapter=adapter)


@pytest.fixture
def rows(maker: TensorMaker, pictures: list[Any], tmp_path: Path) -> list[dict[str, Any]]:
    """A prompt without image, two with one as a features body, one with two as messages."""
    store = LocalStore(tmp_path / "images")
    rows: list[dict[str, Any]] = [{"token_ids": [1, 2], "loss_mask": [0, 1], "n": 0}]
    for n in (1, 2, 3):
        chosen = pictures[3 + n : 4 + n + n // 3]
        content = [{"type": "image", "image": picture.data} for picture in chosen]
        images = pack_images([{"role": "user", "content": content}], maker.adapter, store=store)
        tokens, offsets = [1], []
        for image in images:
            offsets.append(len(tokens))
            tokens += [*[PAD] * image.description.placeholder_length, 1]
        row: dict[str, Any] = {"token_ids": tokens, "loss_mask": [1] * len(tokens), "n": n}
        if n < 3:
            row["features"] = build_features(mm_data(images, offsets), run_id="x")
        else:
            urls = [{"type": "image", "image": str(one.path)} for one in chosen]
            row["messages"] = [{"role": "user", "content": [{"type": "text", "text": "?"}, *urls]}]
        rows.append(row)
    return rows


def batches(source: Any, maker: TensorMaker, **options: Any) -> list[dict[str, Any]]:
    dataset = RolloutDataset(source, maker, pad_token_id=PAD, seed=5)
    return list(dataset.batches(2, FILL, **options))


@pytest.mark.parametrize("form", row_forms.FORMS)
@pytest.mark.parametrize("workers", [0, 2], ids=["in process", "forked"])
def test_batches_of_every_form_are_those_of_lines(
    form: str, workers: int, maker: TensorMaker, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "lines").mkdir()
    want = batches(row_forms.FORMS["lines"](tmp_path / "lines", rows), maker)
    options = {"num_workers": 2, "multiprocessing_context": "fork"} if workers else {}
    got = batches(row_forms.FORMS[form](tmp_path, rows), maker, **options)
    assert len(got) == len(want) == 2
    for one, other in zip(got, want, strict=True):
        for name, value in other.items():
            if torch.is_tensor(value):
                assert torch.equal(one[name], value), name
            elif name != "messages":
                assert one[name] == value, name


@pytest.mark.parametrize("form", ["gzip", "Parquet", "folder"])
def test_a_state_is_of_all_rows_and_an_error_has_the_row_s_number(
    form: str, maker: TensorMaker, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    lost = {name: value for name, value in rows[2].items() if name != "features"}
    source = row_forms.FORMS[form](tmp_path, [*rows[:2], lost, rows[3]])
    dataset = RolloutDataset(source, maker, pad_token_id=PAD)
    assert dataset.state_dict()["lines"] == len(dataset) == 4
    with pytest.raises(MMRawError) as caught:
        dataset[2]
    assert (caught.value.code, caught.value.path) == ("span_mismatch", "$[2].token_ids[1]")


def test_a_row_that_is_no_object_is_refused_by_its_number(maker: TensorMaker) -> None:
    with pytest.raises(MMRawError) as caught:
        RolloutDataset([{"token_ids": [1]}, [1]], maker)[1]
    assert (caught.value.code, caught.value.path) == ("invalid_type", "$[1]")
