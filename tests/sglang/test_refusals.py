"""Each kind of refusal as SGLang answers it: HTTP 400 with our code, and no word of the input."""

# pyright: reportMissingImports=false

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from engine import RUN, Engine, data_url
from fastapi import HTTPException
from pictures import encode, picture
from PIL import Image

from mmraw_protocol import MMRawError, get_adapter
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.stores import LocalStore

DATA = encode(picture(300, 200), "PNG")
OTHER = encode(picture(300, 200, seed=1), "PNG")


def bomb() -> bytes:
    """A file of 100 million pixels."""
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    return buffer.getvalue()


def refusal(engine: Engine, *images: Any, **fields: Any) -> str:
    """The message of HTTP 400."""
    with pytest.raises(ValueError, match=r"^[a-z0-9_]+: ") as caught:
        engine.processed(*images, **fields)
    assert not isinstance(caught.value, MMRawError)
    assert getattr(caught.value, "status_code", 400) == 400
    assert "mmraw:" not in str(caught.value)
    return str(caught.value)


REFS: dict[str, Callable[[Engine], str]] = {
    "invalid_base64": lambda qwen: "mmraw:v3:!",
    "modality_mismatch": lambda qwen: qwen.ref(DATA, modality="vision_chunk"),
    "unknown_family": lambda qwen: qwen.ref(
        DATA, family="kimi_k25", payload={"grid_thws": [[1, 14, 22]], "num_media_tokens": 77}
    ),
    "fingerprint_mismatch": lambda qwen: qwen.ref(
        DATA, fingerprint=get_adapter("qwen_vl", {"min_pixels": 1024}).fingerprint()
    ),
    "grid_mismatch": lambda qwen: qwen.ref(DATA, payload={"image_grid_thw": [[1, 12, 20]]}),
    "hash_mismatch": lambda qwen: qwen.ref(DATA, mm_hash="0" * 32),
    "source_unavailable": lambda qwen: qwen.ref(DATA, raw_image_id="0" * 64 + ".png"),
    "run_mismatch": lambda qwen: qwen.ref(DATA, run_id="another"),
}


@pytest.mark.parametrize("code", REFS)
def test_refs_that_are_refused(qwen: Engine, code: str) -> None:
    message = refusal(qwen, qwen.ref(DATA), REFS[code](qwen))
    assert message.endswith("(image 1)")
    assert message.partition(":")[0] == code


def test_pictures_beyond_the_limits(qwen: Engine, store: LocalStore) -> None:
    data = bomb()
    sha256 = hashlib.sha256(data).hexdigest()
    ref = qwen.ref(DATA, raw_image_id=store.put(data), mm_hash=sha256[:32])
    assert refusal(qwen, ref).startswith("limit_exceeded")


def test_files_that_no_decoder_takes(qwen: Engine, store: LocalStore) -> None:
    """Cut off, empty, animated, too large, of other kinds: the files that all readers share."""
    for path in sorted((vectors_folder() / "bad_images").iterdir()):
        name = store.put(path.read_bytes())
        bad = qwen.ref(DATA, raw_image_id=name, mm_hash=name[:32])
        assert refusal(qwen, qwen.ref(DATA), bad).endswith("(image 1)")


def test_of_several_the_first_is_named(qwen: Engine) -> None:
    bad = qwen.ref(DATA, mm_hash="0" * 32)
    missing = qwen.ref(DATA, raw_image_id="0" * 64 + ".png")
    assert refusal(qwen, qwen.ref(DATA), missing, bad).startswith("source_unavailable")
    assert refusal(qwen, qwen.ref(DATA), bad, missing).startswith("hash_mismatch")


@pytest.mark.parametrize(
    "options",
    [{"detail": "low"}, {"max_dynamic_patch": 2}, {"preprocess_kwargs": {"max_pixels": 9}}],
)
def test_options_of_one_image(qwen: Engine, options: dict[str, Any]) -> None:
    from sglang.srt.utils import ImageData

    image = ImageData(url=qwen.ref(DATA), **options)
    assert refusal(qwen, image).startswith("unsupported_option")


@pytest.mark.parametrize("name", ["video_data", "audio_data"])
def test_refs_for_videos_and_sound(qwen: Engine, name: str) -> None:
    message = refusal(qwen, qwen.ref(DATA), **{name: [qwen.ref(DATA)]})
    assert message.startswith("modality_unsupported")


FORMS: list[Callable[[str], Any]] = [
    lambda ref: [ref],
    lambda ref: (ref,),
    lambda ref: {"image_url": {"url": ref}},
    lambda ref: {"url": None, "image": ref},
    lambda ref: {"format": "processor_output", "pixel_values": ref},
]


@pytest.mark.parametrize("form", FORMS)
def test_refs_in_forms_that_sglang_does_not_take(qwen: Engine, form: Callable[[str], Any]) -> None:
    """SGLang itself repeats in its error what it cannot load."""
    message = refusal(qwen, qwen.ref(DATA), form(qwen.ref(OTHER)))
    assert message.startswith("invalid_type")
    assert message.endswith("(image 1)")


def test_an_image_without_a_place(qwen: Engine) -> None:
    """SGLang passes over it with a warning."""
    message = refusal(qwen, qwen.ref(DATA), qwen.ref(OTHER), prompt=qwen.prompt(1))
    assert message.startswith("lengths_differ")


def test_a_place_without_an_image(qwen: Engine) -> None:
    with pytest.raises(ValueError, match="placeholder"):
        qwen.processed(qwen.ref(DATA), prompt=qwen.prompt(2))


def test_refs_only(engines: Any, qwen: Engine, store: LocalStore) -> None:
    strict = Engine("qwen3_vl", qwen.folder, store, {"MMRAW_REFS_ONLY": "true"})
    assert strict.processed(strict.ref(DATA)).mm_inputs.mm_items
    assert refusal(strict, strict.ref(DATA), data_url(DATA)).startswith("not_a_ref")
    for name in ("video_data", "audio_data"):
        message = refusal(strict, strict.ref(DATA), **{name: ["http://localhost/file"]})
        assert message.startswith("not_a_ref")


def test_more_tokens_than_the_model_takes(qwen: Engine) -> None:
    qwen.manager.max_req_input_len = 100
    try:
        message = refusal(qwen, qwen.ref(DATA), qwen.ref(OTHER))
    finally:
        qwen.manager.max_req_input_len = None
    assert message.startswith("limit_exceeded")


@pytest.mark.parametrize("stream", [False, True])
def test_trouble_of_the_store_is_503(
    qwen: Engine, store: LocalStore, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> bytes:
        raise MMRawError("store_unavailable", "the store does not answer")

    monkeypatch.setattr(LocalStore, "get", fails)
    ref = qwen.ref(encode(picture(90, 91, seed=int(stream)), "PNG"))
    with pytest.raises((HTTPException, ValueError)) as caught:
        qwen.processed(ref, stream=stream)
    # The status of a stream was sent before: it ends with an event that has ours.
    assert isinstance(caught.value, HTTPException) is not stream
    assert caught.value.status_code == 503


def test_a_run_is_of_the_store(qwen: Engine) -> None:
    assert qwen.processed(qwen.ref(DATA, run_id=RUN)).mm_inputs.mm_items
