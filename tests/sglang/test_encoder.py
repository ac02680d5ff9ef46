"""Refs in SGLang's disaggregated encoder, as far as it loads images."""

# pyright: reportMissingImports=false

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from engine import RUN, Engine, data_url, variables
from pictures import encode, picture

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore

DATA = encode(picture(300, 200), "PNG")


@pytest.fixture(scope="module")
def encoder(engines: Any, store: LocalStore) -> Iterator[Any]:
    """The preprocessor of an encoder of Qwen3-VL."""
    with variables({"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN}):
        yield preprocessor(engines("qwen3_vl"))


def preprocessor(engine: Engine, **options: Any) -> Any:
    """SGLang's own."""
    from sglang.srt import runtime_context
    from sglang.srt.configs.model_config import ModelConfig
    from sglang.srt.disaggregation.encoder import preprocessor
    from sglang.srt.server_args import ServerArgs

    arguments = ServerArgs(model_path=str(engine.folder), device="cpu", **options)
    runtime_context.publish(arguments, role="encoder")
    config = preprocessor.EncoderMediaProcessorConfig()
    return preprocessor.EncoderPreprocessor(
        server_args=arguments,
        model_config=ModelConfig.from_server_args(arguments),
        model_preprocessor=None,
        encoder_media_processor_config=config,
    )


def test_trouble_stops_the_start_of_an_encoder(qwen: Engine) -> None:
    with variables({"MMRAW_STORE": "/no/such/store"}), pytest.raises(MMRawError) as caught:
        preprocessor(qwen)
    assert caught.value.code == "store_invalid"


def load(encoder: Any, data: Any, modality: str = "IMAGE") -> Any:
    """Returns what the encoder processes."""
    from sglang.srt.managers.schedule_batch import Modality

    return encoder._load_single_item(data, Modality[modality])


def test_a_ref_is_loaded_as_its_file(encoder: Any, qwen: Engine) -> None:
    digest = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    expected = load(encoder, data_url(DATA)).tobytes()
    for form in (
        qwen.ref(DATA),
        qwen.ref(DATA, inline=True),
        {"url": qwen.ref(DATA)},
        {"url": qwen.ref(DATA), "content_hash": digest},
    ):
        assert load(encoder, form).tobytes() == expected
    assert load(encoder, {"url": data_url(DATA), "content_hash": digest}).tobytes() == expected


@pytest.mark.parametrize(
    ("change", "beside", "code"),
    [
        ({"mm_hash": "0" * 32}, {}, "hash_mismatch"),
        ({"run_id": "another"}, {}, "run_mismatch"),
        ({}, {"content_hash": f"sha256:{'0' * 64}"}, "hash_mismatch"),
        ({}, {"max_long_side_pixel": 100}, "unsupported_option"),
    ],
)
def test_a_ref_that_is_refused(
    encoder: Any, qwen: Engine, change: dict[str, Any], beside: dict[str, Any], code: str
) -> None:
    from sglang.srt.disaggregation.encoder.server import BadRequestError

    with pytest.raises(BadRequestError) as caught:
        load(encoder, {"url": qwen.ref(DATA, **change), **beside})
    assert str(caught.value).startswith(f"{code}: ")
    assert "mmraw:" not in str(caught.value)


def test_a_ref_for_a_video(encoder: Any, qwen: Engine) -> None:
    from sglang.srt.disaggregation.encoder.server import BadRequestError

    with pytest.raises(BadRequestError, match="modality_unsupported"):
        load(encoder, qwen.ref(DATA), "VIDEO")


def test_a_ref_comes_to_the_encoder_as_the_language_server_sends_it(
    encoder: Any, qwen: Engine
) -> None:
    from sglang.srt.disaggregation.encoder import receiver
    from sglang.srt.managers.io_struct import GenerateReqInput
    from sglang.srt.utils import ImageData

    digest = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    images = [qwen.ref(DATA), ImageData(url=qwen.ref(DATA), content_hash=digest)]
    request = GenerateReqInput(text="", image_data=images)
    extract = receiver.MMReceiverBase._extract_url_data
    for item in extract(object(), request):
        found = load(encoder, receiver._encoder_media_item(item))
        assert found.tobytes() == qwen.open(DATA).convert("RGB").tobytes()


@pytest.mark.parametrize("modality", ["IMAGE", "VIDEO", "AUDIO"])
def test_refs_only(
    encoder: Any, qwen: Engine, modality: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sglang.srt.disaggregation.encoder.server import BadRequestError

    images = encoder.mmraw_images
    strict = msgspec.structs.replace(images.settings, refs_only=True)
    monkeypatch.setattr(images, "settings", strict)
    with pytest.raises(BadRequestError, match=r"^not_a_ref: "):
        load(encoder, data_url(DATA), modality)
    assert load(encoder, qwen.ref(DATA)).size == (300, 200)


def test_a_ref_in_a_form_that_the_encoder_does_not_take(encoder: Any, qwen: Engine) -> None:
    from sglang.srt.disaggregation.encoder.server import BadRequestError

    with pytest.raises(BadRequestError, match=r"^invalid_type: (?!.*mmraw:)"):
        load(encoder, {"url": [qwen.ref(DATA)]})


def test_trouble_of_the_store(encoder: Any, qwen: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from sglang.srt.disaggregation.encoder.server import InternalError

    def fails(*_: Any, **__: Any) -> bytes:
        raise MMRawError("store_unavailable", "the store does not answer")

    ref = qwen.ref(encode(picture(91, 92), "PNG"))
    monkeypatch.setattr(LocalStore, "get", fails)
    with pytest.raises(InternalError, match="store_unavailable"):
        load(encoder, ref)
