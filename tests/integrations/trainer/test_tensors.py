"""The trainer's tensors are those of the checkpoint's own processor, bit for bit.

Compared with Transformers' image processors for Qwen (its Pillow backend) and Kimi K2.5.
"""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import processors
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from many_pictures import vector_pictures
from PIL import Image

from mmraw_protocol import MMRawError, build_features, mm_data
from mmraw_protocol.conversation.messages import pack_images as pack_raw_images
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.transformers import TensorMaker, adapter_of, pack_images
from mmraw_protocol.stores import LocalStore

PROCESSORS = {
    "qwen3_vl": ("qwen_vl", processors.qwen("qwen3_vl")),
    "qwen2_5_vl": ("qwen_vl", processors.qwen("qwen2_5_vl")),
    "kimi_k25": ("kimi_k25", processors.kimi()),
    "a Kimi checkpoint": ("kimi_k25", processors.RemoteKimi()),
}


@pytest.fixture(scope="module", params=sorted(PROCESSORS))
def maker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TensorMaker:
    folder = tmp_path_factory.mktemp("run") / "assets" / "images"
    LocalStore(folder)
    return TensorMaker(PROCESSORS[request.param][1], store=folder)


def grid_key(maker: TensorMaker) -> str:
    """The tensor beside `pixel_values`, as the processor calls it."""
    remote = isinstance(maker.image_processor, processors.RemoteKimi)
    return "grid_thws" if remote else "image_grid_thw"


def expected(maker: TensorMaker, images: list[Any]) -> dict[str, Any]:
    """The processor called on the pictures themselves."""
    rows = []
    for image in images:
        if maker.adapter.family == "qwen_vl":
            rows.append(maker.image_processor.preprocess([image], return_tensors="pt"))
        else:
            rows.append(processors.kimi().preprocess([image], return_tensors="pt"))
    return {
        "pixel_values": torch.cat([row["pixel_values"] for row in rows]),
        grid_key(maker): torch.cat([row["image_grid_thw"] for row in rows]),
    }


def features_of(
    maker: TensorMaker, datas: list[bytes], *, storage: str = "inline", offset: int = 1
) -> dict[str, Any]:
    """A features body for pictures that stand one token apart."""
    messages = [{"role": "user", "content": [{"type": "image", "image": d} for d in datas]}]
    store = None if storage == "inline" else maker.materializer.store
    packed = pack_raw_images(messages, maker.adapter, storage=storage, store=store, alpha="drop")
    offsets = []
    for image in packed:
        offsets.append(offset)
        offset += image.description.placeholder_length + 1
    return build_features(mm_data(packed, offsets), run_id="x")


def prompt_of(body: dict[str, Any], pad: int = 9) -> list[int]:
    tokens = [1]
    for places in body["mm_placeholders"].values():
        for place in places:
            tokens += [pad] * place["length"] + [1]
    return tokens


def same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert got.keys() == want.keys()
    for key, value in want.items():
        assert got[key].dtype == value.dtype, key
        assert torch.equal(got[key], value), key


@pytest.mark.parametrize("storage", ["inline", "offload"])
def test_tensors_of_a_prompt(maker: TensorMaker, pictures: list[Any], storage: str) -> None:
    body = features_of(maker, [p.data for p in pictures], storage=storage)
    tokens = prompt_of(body)
    got = maker(json.dumps(body), token_ids=tokens, pad_token_id=9)
    want = expected(maker, [p.pixels() for p in pictures])
    if maker.adapter.family == "qwen_vl":
        want["mm_token_type_ids"] = torch.tensor([int(token == 9) for token in tokens])
    same(got, want)


def test_tensors_of_every_picture_of_the_vectors(maker: TensorMaker) -> None:
    found = vector_pictures()
    assert len(found) >= 15
    for picture in found:
        got = maker(features_of(maker, [picture.data]))
        same(got, expected(maker, [picture.pixels()]))


def test_a_transparent_palette_is_dropped_and_not_blended() -> None:
    """Left in the header, the table makes the processor blend pixels that are RGB already."""
    (picture,) = [p for p in vector_pictures() if p.name.startswith("palette_trns")]
    maker = TensorMaker(PROCESSORS["qwen3_vl"][1])
    with_table = expected(maker, [picture.open().convert("RGB")])["pixel_values"]
    got = maker(features_of(maker, [picture.data]))["pixel_values"]
    assert torch.equal(got, expected(maker, [picture.pixels()])["pixel_values"])
    assert not torch.equal(got, with_table)


def test_items_alone_give_the_same_tensors(maker: TensorMaker, pictures: list[Any]) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "image": p.data} for p in pictures]}]
    want = expected(maker, [p.pixels() for p in pictures])
    for storage in ("inline", "offload"):
        store = maker.materializer.store
        packed = pack_raw_images(messages, maker.adapter, storage=storage, store=store)
        same(maker([image.item for image in packed]), want)
        same(maker([image.item.to_dict() for image in packed]), want)
        offsets = [900_000 * index for index in range(len(packed))]
        same(maker(mm_data(packed, offsets)), want)


def test_processed_output_for_sft(maker: TensorMaker, pictures: list[Any]) -> None:
    messages = [
        {"role": "user", "content": [{"type": "image", "path": str(p.path)}]} for p in pictures
    ]
    made = pack_images(messages, maker, multimodal_output="processed")
    assert [image.where.message_index for image in made] == list(range(len(pictures)))
    for image, picture in zip(made, pictures, strict=True):
        same(image.tensors, expected(maker, [picture.pixels()]))
        assert image.description.mm_hash == picture.mm_hash
    raw = pack_images(messages, maker, multimodal_output="raw", storage="inline")
    assert [image.mm_hash for image in raw] == [p.mm_hash for p in pictures]


SIZES = [
    (1, 1),
    (1, 200),
    (200, 1),
    (13, 700),
    (27, 28),
    (28, 28),
    (29, 57),
    (255, 257),
    (500, 333),
]


@pytest.mark.parametrize("size", SIZES)
def test_the_layout_is_the_processors_on_real_images(
    maker: TensorMaker, size: tuple[int, int]
) -> None:
    made = expected(maker, [Image.new("RGB", size, (9, 99, 200))])
    layout = maker.adapter.layout(*size)
    assert made[grid_key(maker)].tolist() == [list(layout.grid_thw)]
    assert len(made["pixel_values"]) == layout.grid_thw[1] * layout.grid_thw[2]


SIDES = st.one_of(st.integers(1, 300), st.integers(1, 9000))


@given(width=SIDES, height=SIDES)
@settings(max_examples=500)
def test_the_layout_is_the_processors_for_every_size(
    maker: TensorMaker, width: int, height: int
) -> None:
    """By the arithmetic of the processors themselves, where running them would take minutes."""
    kimi = maker.adapter.family == "kimi_k25"
    processor: Any = processors.kimi() if kimi else maker.image_processor
    if not kimi and max(width, height) > 200 * min(width, height):
        with pytest.raises(ValueError, match="aspect ratio"):
            processor.get_number_of_image_patches(height, width, {})
        with pytest.raises(MMRawError, match="aspect_ratio"):
            maker.adapter.layout(width, height)
        return
    t, h, w = maker.adapter.layout(width, height).grid_thw
    assert t * h * w == processor.get_number_of_image_patches(height, width, {})


def test_the_adapter_has_the_processors_layout_parameters() -> None:
    for name, (family, processor) in PROCESSORS.items():
        preset = "kimi_k25" if family == "kimi_k25" else name
        assert adapter_of(processor).fingerprint() == get_adapter(family, preset).fingerprint()


def refusal(maker: TensorMaker, body: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(MMRawError) as caught:
        maker(body, **options)
    return caught.value.code, caught.value.path


def test_refs_of_other_layout_parameters_are_refused(
    maker: TensorMaker, pictures: list[Any]
) -> None:
    parameters: dict[str, Any] = {
        "qwen_vl": {"max_pixels": 70000},
        "kimi_k25": {"in_patch_limit": 20},
    }
    other = get_adapter(maker.adapter.family, parameters[maker.adapter.family])
    messages = [{"role": "user", "content": [{"type": "image", "image": pictures[4].data}]}]
    body = build_features(
        mm_data(pack_raw_images(messages, other, storage="inline"), [1]), run_id="x"
    )
    modality = maker.adapter.feature_modality
    path = f"$.kwargs_data.{modality}[0]"
    code, where = refusal(maker, body)
    assert code == "fingerprint_mismatch"
    assert where.startswith(path)


def test_a_processor_that_makes_another_grid_is_refused(maker: TensorMaker) -> None:
    with pytest.raises(MMRawError) as caught:
        maker.process(Image.new("RGB", (300, 300)), maker.adapter.layout(30, 30).payload)
    assert caught.value.code == "grid_mismatch"


def test_spans_are_held_against_the_prompt(maker: TensorMaker, pictures: list[Any]) -> None:
    body = features_of(maker, [pictures[4].data, pictures[5].data])
    tokens = prompt_of(body)
    modality = maker.adapter.feature_modality
    assert refusal(maker, body, token_ids=tokens[:-2])[0] == "placeholder_invalid"
    assert refusal(maker, body, token_ids=tokens, pad_token_id=8)[0] == "span_mismatch"
    assert refusal(maker, body, token_ids=[2, *tokens], pad_token_id=9)[0] == "span_mismatch"
    for name in body:
        body[name][modality].reverse()
    assert refusal(maker, body)[0] == "placeholder_invalid", "spans are sorted"


def test_lengths_and_hashes_are_checked(maker: TensorMaker, pictures: list[Any]) -> None:
    modality = maker.adapter.feature_modality
    body = features_of(maker, [pictures[4].data])
    body["mm_placeholders"][modality][0]["length"] += 1
    assert refusal(maker, body)[0] == "placeholder_mismatch"
    body = features_of(maker, [pictures[4].data], storage="offload")
    (name,) = [n for n in maker.materializer.store.list() if n.startswith(pictures[4].mm_hash)]
    stored = Path(maker.materializer.store.root) / name
    stored.chmod(0o600)
    stored.write_bytes(pictures[5].data)
    assert refusal(maker, body)[0] in ("hash_mismatch", "object_corrupt")
    stored.unlink()
    assert refusal(maker, body)[0] == "source_unavailable"


def test_another_familys_images_are_refused(pictures: list[Any]) -> None:
    qwen, kimi = (TensorMaker(PROCESSORS[name][1]) for name in ("qwen3_vl", "kimi_k25"))
    assert refusal(qwen, features_of(kimi, [pictures[4].data]))[0] == "modality_mismatch"
    messages = [{"role": "user", "content": [{"type": "image", "image": pictures[4].data}]}]
    (packed,) = pack_raw_images(messages, kimi.adapter, storage="inline")
    assert refusal(qwen, [packed.item])[0] in ("modality_mismatch", "unknown_family")


def test_a_prompt_without_images_has_no_tensors(maker: TensorMaker) -> None:
    assert maker({"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}) == {}
    assert maker([]) == {}


def test_it_can_be_sent_to_another_process(maker: TensorMaker, pictures: list[Any]) -> None:
    body = features_of(maker, [pictures[4].data], storage="inline")
    same(pickle.loads(pickle.dumps(maker))(body), maker(body))


def test_hashes_of_items_are_those_of_their_bytes(pictures: list[Any]) -> None:
    maker = TensorMaker(PROCESSORS["qwen3_vl"][1])
    messages = [{"role": "user", "content": [{"type": "image", "image": pictures[4].data}]}]
    (packed,) = pack_raw_images(messages, maker.adapter, storage="inline")
    named = packed.item.to_dict() | {"raw_image_id": "photo.jpg"}
    del named["raw_uri"]
    assert refusal(maker, [named]) == ("missing_field", "$[0].raw_image_id")
    assert hashlib.sha256(pictures[4].data).hexdigest().startswith(packed.mm_hash)
