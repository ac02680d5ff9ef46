"""Rows that carry their images in other forms than a features body give the same samples."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import processors
import pytest
import torch

from mmraw_protocol import (
    MMRawError,
    build_features,
    features_to_content_parts,
    features_to_mm_refs,
    get_adapter,
    mm_data,
    pack_images,
    ref_messages,
)
from mmraw_protocol.integrations.rollouts import RowReader
from mmraw_protocol.integrations.transformers import TensorMaker
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.families import FAMILIES

PAD = 9


@pytest.fixture(scope="module", params=FAMILIES)
def maker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TensorMaker:
    folder = tmp_path_factory.mktemp("run") / "images"
    LocalStore(folder)
    # As a server answers, each token of an image has a placeholder token.
    convention = [None, *FAMILIES[request.param].conventions][-1]
    adapter = get_adapter(request.param, placeholder=convention)
    return TensorMaker(processors.ByName(request.param), store=folder, adapter=adapter)


@pytest.fixture
def messages(pictures: list[Any]) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": picture.data} for picture in pictures[4:6]]
    return [{"role": "user", "content": [{"type": "text", "text": "look"}, *content]}]


def vocabulary(maker: TensorMaker) -> dict[str, int]:
    """Ids for all that the family writes for an image."""
    info = FAMILIES[maker.adapter.family]
    texts = [*info.placeholder, info.vllm.target, info.vllm.before, info.vllm.after]
    return {text: PAD + at for at, text in enumerate(dict.fromkeys(filter(None, texts)))}


@pytest.fixture
def row(maker: TensorMaker, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """A row with a features body."""
    images = pack_images(messages, maker.adapter, store=LocalStore(maker._store))
    ids = vocabulary(maker)
    tokens, offsets = [1, 2, 3], []
    for image in images:
        offsets.append(len(tokens))
        tokens += [ids[text] for text in maker.adapter.span(image.description.payload)]
        tokens += [1, 2, 3]
    features = build_features(mm_data(images, offsets), run_id="x")
    return {"token_ids": tokens, "features": features, "labels": tokens}


def same(got: dict[str, Any], want: dict[str, Any]) -> None:
    for name, value in want.items():
        if torch.is_tensor(value):
            assert torch.equal(got[name], value), name
        else:
            assert got[name] == value, name


def without_features(row: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"token_ids": row["token_ids"], "labels": row["labels"], **fields}


def adapters(maker: TensorMaker) -> dict[str, Any]:
    return {maker.adapter.family: maker.adapter}


@pytest.mark.parametrize("form", ["object", "array"])
@pytest.mark.parametrize("encoded", ["decoded", "json", "msgpack"])
def test_mm_refs(maker: TensorMaker, row: dict[str, Any], form: Any, encoded: str) -> None:
    refs: Any = features_to_mm_refs(row["features"], form=form, adapters=adapters(maker))
    if encoded == "json":
        refs = json.dumps(refs)
    elif encoded == "msgpack":
        refs = msgspec.msgpack.encode(refs)
    read = RowReader(maker, pad_token_id=PAD)
    found = read(without_features(row, mm_refs=refs))
    same(found, read(row))
    assert "mm_refs" not in found


def test_content_parts_beside_the_placeholders_of_the_answer(
    maker: TensorMaker, row: dict[str, Any]
) -> None:
    parts, places = features_to_content_parts(row["features"], adapters=adapters(maker))
    read = RowReader(maker, pad_token_id=PAD)
    whole = without_features(row, content_parts=parts, mm_placeholders=places)
    same(read(whole), read(row))
    texts = {name: json.dumps(whole[name]) for name in ("content_parts", "mm_placeholders")}
    same(read({**whole, **texts}), read(row))
    with pytest.raises(MMRawError) as caught:
        read(without_features(row, content_parts=parts))
    assert (caught.value.code, caught.value.path) == ("missing_field", "$.content_parts")


@pytest.mark.parametrize("stored", [False, True], ids=["with images", "with refs"])
def test_messages_beside_token_ids(
    maker: TensorMaker, row: dict[str, Any], messages: list[dict[str, Any]], stored: bool
) -> None:
    if stored:
        store = LocalStore(maker._store)
        messages = ref_messages(messages, maker.adapter, store=store, run_id="x")
    read = RowReader(maker, pad_token_id=PAD)
    same(read(without_features(row, messages=messages)), read(row))
    if stored:
        same(read(without_features(row, messages=json.dumps(messages))), read(row))


def test_messages_that_are_no_json_text_are_refused(
    maker: TensorMaker, row: dict[str, Any]
) -> None:
    with pytest.raises(MMRawError) as caught:
        RowReader(maker)(without_features(row, messages="[{"))
    assert (caught.value.code, caught.value.path) == ("invalid_json", "$.messages")


def test_messages_with_more_or_fewer_images_than_the_prompt(
    maker: TensorMaker, row: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    read = RowReader(maker, pad_token_id=PAD)
    content = messages[0]["content"]
    for images, code in (
        [content[:2], "span_mismatch"],
        [[*content, content[1]], "lengths_differ"],
    ):
        with pytest.raises(MMRawError) as caught:
            read(without_features(row, messages=[{"role": "user", "content": images}]))
        assert caught.value.code == code
    assert caught.value.path == "$.messages[0].content[3]"


def test_messages_alone(
    maker: TensorMaker, row: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    """A chat template writes one target for each image; what stands for it follows."""
    ids = vocabulary(maker)
    target = ids[FAMILIES[maker.adapter.family].vllm.target]
    maker = TensorMaker(
        maker.image_processor, store=maker._store, adapter=maker.adapter, vocabulary=ids
    )
    info, vllm = FAMILIES[maker.adapter.family].placeholder, FAMILIES[maker.adapter.family].vllm
    # The template writes the tokens around a span that the server does not write.
    before = [] if vllm.before or not info.before else [ids[info.before]]
    after = [] if vllm.after or not info.after else [ids[info.after]]

    def tokenize(messages: list[Any]) -> list[int]:
        images = [part for part in messages[0]["content"] if part["type"] == "image"]
        return [1, *([*before, target, *after] * len(images)), 2]

    read = RowReader(maker, tokenize=tokenize)
    found = read({"messages": messages, "reward": 1})
    same(found, maker(row["features"]))
    assert (found["num_images"], found["reward"]) == (2, 1)
    with pytest.raises(MMRawError) as caught:
        RowReader(maker)({"messages": messages})
    assert (caught.value.code, caught.value.path) == ("missing_field", "$")


def test_a_row_of_text_has_no_images(maker: TensorMaker) -> None:
    row = {"token_ids": [1, 2], "messages": [{"role": "user", "content": "hello"}]}
    sample = RowReader(maker, pad_token_id=PAD)(row)
    assert (sample["num_images"], sample["image_rows"]) == (0, {})
    assert sample["messages"] == row["messages"]


def in_a_column(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The messages with tags in their text, and their images in a column beside them."""
    images = [part["image"] for part in messages[0]["content"][1:]]
    return {
        "messages": [{"role": "user", "content": "look" + "<image>" * len(images)}],
        "images": images,
    }


def test_a_column_of_images_beside_the_messages(
    maker: TensorMaker, row: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    read = RowReader(maker, pad_token_id=PAD)
    same(read(without_features(row, **in_a_column(messages))), read(row))
    with pytest.raises(MMRawError, match="lengths_differ") as caught:
        read(without_features(row, **in_a_column(messages) | {"images": [b"x"]}))
    assert caught.value.path == "$.images"
    for name in ("frames", "image_paths"):
        row_of_text = {"token_ids": [1, 2], "messages": [{"role": "user", "content": "look"}]}
        with pytest.raises(MMRawError, match="image_part_unknown") as caught:
            read({**row_of_text, name: in_a_column(messages)["images"]})
        assert caught.value.path == "$", "the column is in the row, not in the messages"


def test_a_chat_template_gets_a_column_as_parts(
    maker: TensorMaker, messages: list[dict[str, Any]]
) -> None:
    given: list[list[Any]] = []

    def tokenize(messages: list[Any]) -> list[int]:
        given.append(messages)
        return [1]

    with pytest.raises(MMRawError):
        RowReader(maker, tokenize=tokenize)(in_a_column(messages))
    ((message,),) = given
    assert [part["type"] for part in message["content"]] == ["text", "image", "image"]


def test_answers_beside_the_messages(
    maker: TensorMaker, row: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    read = RowReader(maker, pad_token_id=PAD)
    fields = {"messages": messages, "prompt": messages, "completion": messages}
    same(read(without_features(row, **fields)), read(row))
    with pytest.raises(MMRawError) as caught:
        RowReader(maker, tokenize=lambda messages: [1])(fields)
    assert (caught.value.code, caught.value.path) == (
        "not_convertible",
        "$.prompt[0].content[1]",
    )
