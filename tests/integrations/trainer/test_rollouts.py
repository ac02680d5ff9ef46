"""Rollout files as a data set: lazily, in the workers of a DataLoader."""

import json
from pathlib import Path
from typing import Any

import processors
import pytest
import torch
from torch.utils.data import DataLoader

from mmraw_protocol import MMRawError, build_features, get_adapter, mm_data
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.integrations.rollouts import (
    RolloutDataset,
    RowReader,
    collate,
    split_images,
)
from mmraw_protocol.integrations.tensors import concatenate
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.families import FAMILIES

PAD, FILL = 9, 0
#: One whose images are joined, and one whose images are filled up to the largest.
SPAWNED = ("qwen_vl", "pixtral")


@pytest.fixture(params=FAMILIES)
def maker(request: pytest.FixtureRequest, tmp_path: Path) -> TensorMaker:
    folder = tmp_path / "run_x" / "assets" / "images"
    LocalStore(folder)
    # A prompt with one token for an image is expanded; see test_single_tokens.py.
    convention = [None, *FAMILIES[request.param].conventions][-1]
    adapter = get_adapter(request.param, placeholder=convention)
    return TensorMaker(processors.ByName(request.param), store=folder, adapter=adapter)


@pytest.fixture
def rows(maker: TensorMaker, pictures: list[Any]) -> list[dict[str, Any]]:
    """A prompt without image, and prompts with one, two and three."""
    store = LocalStore(maker._store)
    result: list[dict[str, Any]] = [{"token_ids": [1, 2], "labels": [1, 2], "reward": 0.5}]
    for count in (1, 2, 3):
        content = [{"type": "image", "image": p.data} for p in pictures[count : 2 * count]]
        packed = pack_images([{"role": "user", "content": content}], maker.adapter, store=store)
        tokens, offsets = [1], []
        for image in packed:
            offsets.append(len(tokens))
            span = maker.adapter.span(image.description.payload)
            # Breaks and ends of rows have ids of their own.
            ids = {text: PAD + order for order, text in enumerate(dict.fromkeys(span))}
            tokens += [*(ids[text] for text in span), 1]
        body = build_features(mm_data(packed, offsets), run_id="x")
        row = {"token_ids": tokens, "features": body, "labels": tokens, "reward": count}
        result.append(row)
    return result


@pytest.fixture
def file(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    path = tmp_path / "rollouts.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def loaded(maker: TensorMaker, path: Path, **options: Any) -> list[dict[str, Any]]:
    dataset = RolloutDataset(path, maker, pad_token_id=PAD)
    return list(DataLoader(dataset, batch_size=2, collate_fn=dataset.collate_fn(FILL), **options))


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 0},
        {"num_workers": 2, "multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "spawn"},
    ],
    ids=["in process", "forked", "spawned"],
)
def test_batches_hold_tokens_and_tensors(
    maker: TensorMaker, rows: list[dict[str, Any]], file: Path, options: dict[str, Any]
) -> None:
    if options.get("multiprocessing_context") == "spawn" and maker.adapter.family not in SPAWNED:
        pytest.skip("a process that is spawned takes seconds; it knows no family by itself")
    batches = loaded(maker, file, **options)
    assert len(batches) == 2
    for batch, samples in zip(batches, (rows[:2], rows[2:]), strict=True):
        longest = max(len(row["token_ids"]) for row in samples)
        assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, longest)
        for line, row in enumerate(samples):
            length = len(row["token_ids"])
            assert batch["input_ids"][line, :length].tolist() == row["token_ids"]
            assert batch["input_ids"][line, length:].tolist() == [FILL] * (longest - length)
            assert batch["attention_mask"][line].sum() == length
            assert batch["labels"][line, length:].tolist() == [-100] * (longest - length)
        assert batch["reward"] == [row["reward"] for row in samples]
        assert batch["num_images"] == [
            row["reward"] if row["reward"] > 0.5 else 0 for row in samples
        ]
        made = [maker(row["features"]) for row in samples if "features" in row]
        joined = concatenate(made)
        assert joined.keys() == set(maker.tensors.names)
        for key, tensor in joined.items():
            assert torch.equal(batch[key], tensor)
        of_samples = [tensors for tensors in split_images(batch) if tensors]
        assert [t.keys() for t in of_samples] == [t.keys() for t in made]
        rejoined = concatenate(of_samples)
        assert all(torch.equal(rejoined[key], batch[key]) for key in joined)


def test_one_token_of_the_batch_stands_for_one_feature_of_the_model(
    rows: list[dict[str, Any]], file: Path, maker: TensorMaker
) -> None:
    """There are as many pads as embeddings of the vision tower, which a model checks first."""
    if maker.adapter.family != "qwen_vl":
        pytest.skip("counted by the grids that Qwen's batches hold")
    for batch in loaded(maker, file):
        pads = int((batch["input_ids"] == PAD).sum())
        assert pads == int(batch["image_grid_thw"].prod(dim=1).sum()) // 4


def test_nothing_is_read_before_it_is_asked_for(maker: TensorMaker, file: Path) -> None:
    dataset = RolloutDataset(file, maker)
    assert len(dataset) == 4
    assert maker._materializers == {}
    store = LocalStore(maker._store)
    for name in list(store.list()):
        store.delete(name)
    assert dataset[0]["input_ids"].tolist() == [1, 2]
    with pytest.raises(MMRawError) as caught:
        dataset[3]
    assert caught.value.code == "source_unavailable"
    modality = maker.adapter.feature_modality
    assert caught.value.path.startswith(f"$[3].features.kwargs_data.{modality}[0]")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[]", "invalid_type"),
        ("{}", "missing_field"),
        ('{"token_ids": [1.5]}', "invalid_type"),
        ('{"token_ids": [1], "token_ids": [2]}', "duplicate_key"),
        ('{"token_ids": [1], "features": {"kwargs_data": {}}}', "missing_field"),
        ("{", "invalid_json"),
    ],
)
def test_a_broken_line_is_one_error(
    maker: TensorMaker, tmp_path: Path, line: str, code: str
) -> None:
    (tmp_path / "broken.jsonl").write_text(f'{{"token_ids": [1]}}\n{line}\n')
    dataset = RolloutDataset(tmp_path / "broken.jsonl", maker)
    with pytest.raises(MMRawError) as caught:
        dataset[1]
    assert (caught.value.code, caught.value.path[:4]) == (code, "$[1]")


def test_a_refusal_in_a_worker_reaches_the_trainer_with_its_place(
    maker: TensorMaker, tmp_path: Path
) -> None:
    (tmp_path / "broken.jsonl").write_text('{"token_ids": [1]}\n{}\n')
    with pytest.raises(RuntimeError, match=r"missing_field at \$\[1\]"):
        loaded(maker, tmp_path / "broken.jsonl", num_workers=1)


def test_a_field_with_a_value_for_each_token_has_the_prompts_length() -> None:
    samples = [{"input_ids": torch.tensor([1, 2]), "labels": [1]}]
    with pytest.raises(MMRawError) as caught:
        collate(samples, pad_token_id=0)
    assert caught.value.code == "lengths_differ"


def test_spans_are_held_against_the_line_s_tokens(maker: TensorMaker, file: Path) -> None:
    dataset = RolloutDataset(file, maker, pad_token_id=PAD + 1)
    with pytest.raises(MMRawError) as caught:
        dataset[1]
    assert caught.value.code == "span_mismatch"


def refusal(maker: TensorMaker, row: dict[str, Any], **options: Any) -> tuple[str, str]:
    with pytest.raises(MMRawError) as caught:
        RowReader(maker, **options)(row)
    return caught.value.code, caught.value.path


def test_placeholder_tokens_without_a_picture_are_refused_by_place(
    maker: TensorMaker, rows: list[dict[str, Any]]
) -> None:
    """No features, a ref that was lost, and a token that the policy sampled."""
    row, first = rows[2], rows[2]["token_ids"].index(PAD)
    blind = {**row, "features": None}
    found = ("span_mismatch", f"$.token_ids[{first}]")
    assert refusal(maker, blind, pad_token_id=PAD) == found
    modality = maker.adapter.feature_modality
    places = row["features"]["mm_placeholders"][modality]
    lost = {part: {modality: rows_[modality][:1]} for part, rows_ in row["features"].items()}
    code, path = refusal(maker, {**row, "features": lost})
    assert (code, path) == ("span_mismatch", f"$.token_ids[{places[1]['offset']}]")
    sampled = {**row, "token_ids": [*row["token_ids"], PAD]}
    end = len(row["token_ids"])
    assert refusal(maker, sampled) == ("span_mismatch", f"$.token_ids[{end}]")


def test_published_placeholder_tokens_are_refused_in_rows_without_images(
    maker: TensorMaker,
) -> None:
    for published in FAMILIES[maker.adapter.family].lines.values():
        pad = published.token_ids.get(published.placeholder.token)
        if pad is not None:
            assert refusal(maker, {"token_ids": [1, pad]}) == ("span_mismatch", "$.token_ids[1]")
            # The caller knows better: this checkpoint's token is another.
            assert RowReader(maker, pad_token_id=pad + 1)({"token_ids": [1, pad]})


def test_sampled_placeholder_tokens_are_masked_on_request(
    maker: TensorMaker, rows: list[dict[str, Any]]
) -> None:
    row = rows[1]
    tokens = [*row["token_ids"], 5, PAD, 6]
    end = len(row["token_ids"])
    mask = [0] * end + [1, 1, 1]
    read = RowReader(maker, mask_token_id=FILL)
    sample = read({**row, "token_ids": tokens, "labels": tokens, "loss_mask": mask})
    assert sample["input_ids"].tolist() == [*row["token_ids"], 5, FILL, 6]
    assert sample["labels"] == [*row["token_ids"], 5, -100, 6]
    assert sample["loss_mask"] == [0] * end + [1, 0, 1]
    assert sample["masked_tokens"] == [end + 1]
    # Nothing says that the policy sampled it.
    for unsaid in ({"labels": None}, {"loss_mask": [0] * len(tokens)}):
        row = {**rows[1], "token_ids": tokens, **unsaid}
        assert refusal(maker, row, mask_token_id=FILL)[1] == f"$.token_ids[{end + 1}]"
