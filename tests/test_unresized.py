"""Images that the checkpoint's processor does not resize: do_resize is false.

Which sizes have which layout is held by spec/vectors/layout-unresized.jsonl, for every language.
"""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from mmraw_protocol import (
    Materializer,
    MMRawError,
    build_features,
    get_adapter,
    mm_data,
    parse_features,
)
from mmraw_protocol.cli import main
from mmraw_protocol.conversation.messages import pack_images
from mmraw_protocol.families import Adapter, layout_fingerprint
from mmraw_protocol.materialize import MaterializedImage
from mmraw_protocol.wire._generated.families import FAMILIES

UNRESIZED = [family for family, info in FAMILIES.items() if "do_resize" in info.config_names]
#: Families whose images have a raster of patches that are merged.
ON_A_RASTER = [family for family in UNRESIZED if not FAMILIES[family].placeholder.row_end]
tokens = st.integers(1, 40)


def unresized(family: str, **parameters: Any) -> Adapter:
    return get_adapter(family, {**parameters, "do_resize": False})


def side(adapter: Any) -> int:
    """Pixels of a token along a side."""
    return adapter.config.patch_size * adapter.merge_size


def refused(work: Any, *args: Any) -> MMRawError:
    with pytest.raises(MMRawError) as caught:
        work(*args)
    return caught.value


def test_the_families_whose_processors_have_a_layout_for_it() -> None:
    assert set(FAMILIES) - set(UNRESIZED) == {"inkling", "internvl", "nemotron_h_omni"}
    assert set(UNRESIZED) - set(ON_A_RASTER) == {"pixtral"}


@pytest.mark.parametrize("family", ON_A_RASTER)
@given(patch=st.integers(1, 32), wide=tokens, high=tokens)
def test_an_image_on_the_raster_keeps_its_size(
    family: str, patch: int, wide: int, high: int
) -> None:
    adapter: Any = unresized(family, patch_size=patch)
    size = wide * side(adapter), high * side(adapter)
    layout = adapter.layout(*size)
    assert layout.resized == layout.content == size
    assert layout.grid_thw == (1, size[1] // patch, size[0] // patch)
    assert layout.num_tokens == wide * high
    payload = adapter.parse_payload(json.loads(msgspec.json.encode(layout.payload)))
    assert payload == layout.payload
    assert adapter.num_tokens(payload) == layout.num_tokens
    assert adapter.prompt_text(payload).count(adapter.pad_token) == layout.placeholder_length


@pytest.mark.parametrize("family", ON_A_RASTER)
@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_an_image_beside_the_raster_is_refused(family: str, width: int, height: int) -> None:
    adapter = unresized(family)
    assume(width % side(adapter) or height % side(adapter))
    error = refused(adapter.layout, width, height)
    assert error.code == "layout_refused"
    assert f"multiples of {side(adapter)} pixels" in error.message


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), merge=st.integers(1, 3))
def test_pixtral_takes_the_whole_patches_of_any_size(width: int, height: int, merge: int) -> None:
    layout = unresized("pixtral", spatial_merge_size=merge).layout(width, height)
    assert layout.resized == (width, height)
    assert layout.grid_thw == (1, height // (16 * merge), width // (16 * merge))


def test_no_bound_and_no_aspect_holds() -> None:
    strip = unresized("qwen_vl").layout(201 * 32, 32)
    assert strip.grid_thw == (1, 2, 402)
    assert unresized("glm4v", longest_edge=300000).layout(2800, 2800).num_tokens == 10000
    assert unresized("glm5_next", max_image_tokens=16).layout(2800, 2800).num_tokens == 10000
    assert unresized("gemma4", max_soft_tokens=70).layout(960, 960).num_tokens == 400
    bounded = unresized("kimi_k25", in_patch_limit=30, patch_limit_on_one_side=12)
    assert bounded.layout(280, 280).grid_thw == (1, 20, 20)


@pytest.mark.parametrize("family", UNRESIZED)
def test_the_fingerprint_names_it_only_where_it_is_false(family: str) -> None:
    default: Any = get_adapter(family)
    told = get_adapter(family, {"do_resize": True})
    assert told.fingerprint() == default.fingerprint()
    assert unresized(family).fingerprint() != default.fingerprint()
    values = msgspec.structs.asdict(default.config)
    without = {name: value for name, value in values.items() if name != "do_resize"}
    assert layout_fingerprint(family, values) == layout_fingerprint(family, without)
    assert layout_fingerprint(family, {**without, "do_resize": False}) == (
        unresized(family).fingerprint()
    )


def test_it_has_no_positional_fingerprint() -> None:
    assert get_adapter("qwen_vl", {"do_resize": True}).fingerprint("v1")
    error = refused(unresized("qwen_vl").fingerprint, "v1")
    assert (error.code, error.path) == ("not_convertible", "$.fingerprint")


def picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("family", UNRESIZED)
def test_an_image_goes_from_a_message_to_pixels(family: str) -> None:
    adapter = unresized(family)
    content = [{"type": "image", "image": picture(672, 1344)}]
    packed = pack_images([{"role": "user", "content": content}], adapter, storage="inline")
    body = build_features(mm_data(packed, [3]), run_id="x")
    (slot,) = parse_features(body).slots()
    (image,) = Materializer(adapters={family: adapter}).materialize_many([slot])
    assert isinstance(image, MaterializedImage)
    assert image.image.size == (672, 1344)
    # A consumer that resizes gets this error before any grid is compared.
    (error,) = Materializer(adapters={family: get_adapter(family)}).materialize_many([slot])
    assert isinstance(error, MMRawError)
    assert error.code == "fingerprint_mismatch"


@pytest.mark.parametrize("family", UNRESIZED)
def test_an_image_without_a_layout_is_not_described(family: str) -> None:
    assert refused(unresized(family).describe, picture(13, 13)).code == "layout_refused"


def test_the_command_line_follows_the_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16}
    text = json.dumps({**document, "do_resize": False})
    (tmp_path / "preprocessor_config.json").write_text(text)
    command = ["layout", "64x96", "64x48", "--config", str(tmp_path), "--json"]
    assert main(command) == 1
    laid_out, error = json.loads(capsys.readouterr().out)
    assert laid_out["grid_thw"] == [1, 6, 4]
    assert error["error"]["code"] == "layout_refused"
