"""Names of pictures in SGLang: its own files, and pictures of refs, whatever clients say."""

# pyright: reportMissingImports=false

import hashlib
from typing import Any

import pytest
from engine import SERVED, Engine, data_url
from pictures import encode, picture
from PIL import Image
from test_refusals import refusal

from mmraw_protocol.stores import LocalStore

PLAIN = encode(picture(300, 200), "PNG")


def alpha() -> bytes:
    """A picture that is half transparent."""
    image = picture(300, 200).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return encode(image, "PNG")


def turned() -> bytes:
    """A photograph that its EXIF says to turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(picture(300, 200), "JPEG", exif=exif)


def item(engine: Engine, image: Any, **fields: Any) -> Any:
    """Returns what the scheduler gets of one image."""
    (found,) = engine.processed(image, **fields).mm_inputs.mm_items
    found.set_pad_value()
    return found


@pytest.mark.parametrize("family", SERVED)
@pytest.mark.parametrize("data", [PLAIN, alpha(), turned()], ids=["plain", "alpha", "exif"])
def test_a_ref_shares_no_entry_with_its_file(engines: Any, family: str, data: bytes) -> None:
    engine: Engine = engines(family)
    ref = item(engine, engine.ref(data))
    file = item(engine, data_url(data))
    assert ref.hash != file.hash
    assert ref.pad_value != file.pad_value
    # The same picture of two refs is one.
    assert item(engine, engine.ref(data, inline=True)).hash == ref.hash


@pytest.mark.parametrize("family", SERVED)
@pytest.mark.parametrize("data", [alpha(), turned()], ids=["alpha", "exif"])
def test_what_sglang_itself_makes_of_alpha_and_exif(engines: Any, family: str, data: bytes) -> None:
    """It drops alpha and turns no picture, as refs mean it; GLM's processors do both."""
    engine: Engine = engines(family)
    ref, file = item(engine, engine.ref(data)), item(engine, data_url(data))
    assert ref.feature.equal(file.feature) == (family not in ("glm4v", "glm5_next"))


def test_the_identity_is_secret(qwen: Engine, store: LocalStore) -> None:
    """Engines with one secret share entries; others share none."""
    data = encode(picture(70, 90), "PNG")
    secrets = (
        "a secret of sixteen characters",
        "a secret of sixteen characters",
        "another secret!!",
    )
    hashes = [
        item(engine, engine.ref(data)).hash
        for engine in (
            Engine("qwen3_vl", qwen.folder, store, {"MMRAW_SECRET": secret}) for secret in secrets
        )
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_content_hash_beside_a_ref(qwen: Engine) -> None:
    from sglang.srt.utils import ImageData

    digest = f"sha256:{hashlib.sha256(PLAIN).hexdigest()}"
    expected = item(qwen, qwen.ref(PLAIN)).hash
    assert item(qwen, ImageData(url=qwen.ref(PLAIN), content_hash=digest)).hash == expected
    assert item(qwen, qwen.ref(PLAIN), mm_content_hashes=[digest]).hash == expected
    other = f"sha256:{hashlib.sha256(alpha()).hexdigest()}"
    for image, fields in (
        (ImageData(url=qwen.ref(PLAIN), content_hash=other), {}),
        ({"url": qwen.ref(PLAIN), "content_hash": other}, {}),
        (qwen.ref(PLAIN), {"mm_content_hashes": [other]}),
    ):
        assert refusal(qwen, image, **fields).startswith("hash_mismatch")


def test_a_trusted_content_hash_never_stands_for_a_refs_picture(
    qwen: Engine, store: LocalStore
) -> None:
    """--trust-mm-content-hashes answers from the cache without looking at the file."""
    trusting = Engine(
        "qwen3_vl",
        qwen.folder,
        store,
        options={"trust_mm_content_hashes": True, "mm_preprocess_cache_size_mb": 64},
    )
    white = encode(Image.new("RGB", (300, 200), "white"), "PNG")
    ref, file = item(trusting, trusting.ref(PLAIN)), item(trusting, data_url(PLAIN))
    assert ref.feature.equal(file.feature)
    digest = f"sha256:{hashlib.sha256(PLAIN).hexdigest()}"
    # The file's digest gives the file's entry, and a ref with that digest its own.
    assert item(trusting, data_url(white), mm_content_hashes=[digest]).hash == file.hash
    assert item(trusting, trusting.ref(PLAIN), mm_content_hashes=[digest]).hash == ref.hash
    # Nor does the digest of the pixels, by which SGLang names pictures.
    from sglang.srt.multimodal.cache.identity import snapshot_media

    pixels = snapshot_media(trusting.open(PLAIN).convert("RGB")).content_digest
    with pytest.raises(ValueError, match="content hash mismatch"):
        trusting.processed(data_url(white), mm_content_hashes=[pixels])


def test_hashes_of_items_beside_refs(qwen: Engine) -> None:
    message = refusal(qwen, qwen.ref(PLAIN), mm_hashes=["1" * 16])
    assert message.startswith("unsupported_option")
