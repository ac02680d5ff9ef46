"""A pass over a rollout file: shuffled by index, resumed, with lines that are left out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import processors
import pytest
import row_forms

from mmraw_protocol import MMRawError, build_features, get_adapter, mm_data, pack_images
from mmraw_protocol.integrations.rollouts import RolloutDataset
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.stores import LocalStore

PAD, FILL = 9, 0
METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture
def maker(tmp_path: Path) -> TensorMaker:
    LocalStore(tmp_path / "images")
    return TensorMaker(
        processors.ByName("qwen_vl"),
        store=str(tmp_path / "images"),
        adapter=get_adapter("qwen_vl"),
        isolation="process",
    )


@pytest.fixture(params=["lines", "Parquet"])
def form(request: pytest.FixtureRequest) -> str:
    """Read where it is, and from a copy; see test_forms.py for all."""
    return request.param


@pytest.fixture
def texts(tmp_path: Path, form: str) -> Path:
    return row_forms.FORMS[form](tmp_path, [{"token_ids": [1], "n": n} for n in range(23)])


def numbers(batches: Any) -> list[int]:
    return [n for batch in batches for n in batch["n"]]


def test_lines_come_in_another_order_in_each_epoch(maker: TensorMaker, texts: Path) -> None:
    dataset = RolloutDataset(texts, maker, seed=3)
    first, second = (numbers(dataset.batches(4, FILL)) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second != list(range(23))
    assert numbers(RolloutDataset(texts, maker, seed=3).batches(4, FILL)) == first
    assert numbers(RolloutDataset(texts, maker).batches(4, FILL)) == list(range(23))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_goes_on_where_its_state_was_taken(
    maker: TensorMaker, texts: Path, workers: int
) -> None:
    """Batches that workers prepared ahead are not lost: they were not handed out."""
    options: dict[str, Any] = {"num_workers": workers}
    if workers:
        options["multiprocessing_context"] = "fork"
    dataset = RolloutDataset(texts, maker, seed=3)
    list(dataset.batches(4, FILL, **options))
    whole = numbers(RolloutDataset(texts, maker, seed=4).batches(4, FILL))
    assert whole != list(range(23))
    batches = dataset.batches(4, FILL, **options)
    begun = numbers(next(batches) for _ in range(3))
    state = json.loads(json.dumps(dataset.state_dict()))
    resumed = RolloutDataset(texts, maker)
    resumed.load_state_dict(state)
    rest = numbers(resumed.batches(4, FILL, **options))
    assert (len(begun), rest) == (12, numbers(batches))
    assert sorted(begun + rest) == list(range(23))
    assert resumed.epoch == 2
    with pytest.raises(MMRawError) as caught:
        resumed.load_state_dict({**state, "lines": 24})
    assert caught.value.code == "lengths_differ"


@pytest.mark.parametrize("form", ["lines"], indirect=True)
def test_no_line_is_read_before_it_is_asked_for(maker: TensorMaker, texts: Path) -> None:
    dataset = RolloutDataset(texts, maker, seed=3)
    order = list(dataset._order())
    lines = re.findall(rb"[^\n]+\n+", texts.read_bytes())
    # All lines but the first two of the order are spoiled in place.
    kept = set(order[:2])
    spoiled = [
        line if n in kept else b"?" * (len(line) - 2) + line[-2:] for n, line in enumerate(lines)
    ]
    texts.write_bytes(b"".join(spoiled))
    assert numbers([next(dataset.batches(2, FILL))]) == order[:2]


@pytest.fixture
def mixed_form(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "lines")


@pytest.fixture
def mixed(tmp_path: Path, mixed_form: str, maker: TensorMaker, pictures: list[Any]) -> Path:
    """Twelve rows with an image and every third of them broken, in two ways."""
    store = LocalStore(tmp_path / "images")
    content = [{"type": "image", "image": pictures[4].data}]
    (image,) = pack_images([{"role": "user", "content": content}], maker.adapter, store=store)
    tokens = [1, *[PAD] * image.description.placeholder_length, 2]
    features = build_features(mm_data([image], [1]), run_id="x")
    good = {"token_ids": tokens, "features": features}
    rows: list[Any] = [{**good, "n": n} for n in range(12)]
    for n in (2, 8):
        rows[n] = {"token_ids": tokens, "n": n}
    for n in (5, 11):
        rows[n] = {"n": n}
    return row_forms.FORMS[mixed_form](tmp_path, rows)


@pytest.mark.parametrize(
    ("mixed_form", "method"),
    [("lines", None), *(("lines", method) for method in METHODS), ("Parquet", "spawn")],
    indirect=["mixed_form"],
)
def test_rejected_lines_are_left_out_and_counted_by_code(
    maker: TensorMaker, mixed: Path, method: str | None
) -> None:
    """The images are decoded in processes of the workers' own."""
    options: dict[str, Any] = {}
    if method is not None:
        options = {"num_workers": 2, "multiprocessing_context": method, "timeout": 120}
    dataset = RolloutDataset(mixed, maker, pad_token_id=PAD, on_error="skip")
    batches = list(dataset.batches(3, FILL, **options))
    assert numbers(batches) == [0, 1, 3, 4, 6, 7, 9, 10]
    assert [len(batch["input_ids"]) for batch in batches] == [2, 2, 2, 2]
    assert dataset.skipped == {"missing_field": 2, "span_mismatch": 2}
    assert dataset.state_dict()["skipped"] == dataset.skipped


def test_a_batch_of_rejected_lines_alone_is_passed_over(maker: TensorMaker, mixed: Path) -> None:
    dataset = RolloutDataset(mixed, maker, pad_token_id=PAD, on_error="skip")
    assert numbers(dataset.batches(1, None)) == [0, 1, 3, 4, 6, 7, 9, 10]


@pytest.mark.parametrize("workers", [0, 2])
def test_lines_that_are_left_out_have_a_bound(
    maker: TensorMaker, mixed: Path, workers: int
) -> None:
    dataset = RolloutDataset(mixed, maker, pad_token_id=PAD, on_error="skip", max_skips=3)
    options = {"num_workers": workers, "multiprocessing_context": "fork"} if workers else {}
    with pytest.raises((MMRawError, RuntimeError), match="limit_exceeded") as caught:
        list(dataset.batches(3, FILL, **options))
    assert "more than 3 lines were rejected: missing_field, span_mismatch" in str(caught.value)


def test_counts_go_on_with_a_state(maker: TensorMaker, mixed: Path) -> None:
    dataset = RolloutDataset(mixed, maker, pad_token_id=PAD, on_error="skip", max_skips=5)
    dataset.load_state_dict({**dataset.state_dict(), "skipped": {"missing_field": 3}})
    with pytest.raises(MMRawError, match="limit_exceeded"):
        list(dataset.batches(3, FILL))


def test_the_first_rejected_line_ends_a_pass_by_default(maker: TensorMaker, mixed: Path) -> None:
    dataset = RolloutDataset(mixed, maker, pad_token_id=PAD)
    with pytest.raises(MMRawError) as caught:
        list(dataset.batches(3, FILL))
    assert (caught.value.code, caught.value.path) == ("span_mismatch", "$[2].token_ids[1]")
    with pytest.raises(MMRawError, match="unsupported_option"):
        RolloutDataset(mixed, maker, on_error="ignore")  # pyright: ignore[reportArgumentType]
