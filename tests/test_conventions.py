"""Placeholders and payloads of an image: a family's conventions, and every field."""

from typing import Any

import described_refs
import msgspec
import pytest
import samples
from samples import JPEG

from mmraw_protocol import Materializer, MMRawError, RawMMRef, format_ref
from mmraw_protocol.families import Adapter, get_adapter, placeholder_lengths
from mmraw_protocol.integrations.serving.identity import Naming
from mmraw_protocol.integrations.serving.ref_images import RefImages
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.integrations.vllm.features import translate
from mmraw_protocol.integrations.vllm.process import Served
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.json import to_builtins

SIZE = (320, 200)
KIMI = [get_adapter("kimi_k25", placeholder=name) for name in ("single", "expanded")]


def ref_of(adapter: Adapter, **changes: Any) -> RawMMRef:
    """An inline ref of the image, with fields changed."""
    uri = samples.data_url(JPEG, adapter.describe(JPEG).format)
    return described_refs.ref_of(adapter, JPEG, **({"raw_uri": uri} | changes))


def code_of(adapter: Adapter, ref: RawMMRef, length: int | None = None) -> str:
    """The code that refuses a ref beside a placeholder of `length`."""
    materializer = Materializer(adapters={adapter.family: adapter}, cache_bytes=0)
    with pytest.raises(MMRawError) as caught:
        materializer.materialize(ref, placeholder_length=length)
    return caught.value.code


@pytest.mark.parametrize("adapter", KIMI, ids=lambda adapter: adapter.placeholder)
@pytest.mark.parametrize("counted", [True, False], ids=["with a count", "by the grid"])
def test_the_span_tells_the_convention_whatever_the_adapter(
    adapter: Adapter, counted: bool
) -> None:
    layout = adapter.layout(*SIZE)
    payload = to_builtins(layout.payload)
    if not counted:
        del payload["num_media_tokens"]
    ref = ref_of(adapter, payload=payload)
    materializer = Materializer(adapters={"kimi_k25": adapter}, cache_bytes=0)
    for length in (1, layout.num_tokens):
        found = materializer.materialize(ref, placeholder_length=length)
        assert found.placeholder_length == length
    assert materializer.materialize(ref).placeholder_length == layout.placeholder_length
    for length in (0, 2, layout.num_tokens - 1, layout.num_tokens + 1):
        assert code_of(adapter, ref, length) == "placeholder_mismatch"


def test_a_fixed_count_is_what_expanded_means() -> None:
    adapter = get_adapter("kimi_k25", {"fixed_output_tokens": 7})
    assert placeholder_lengths(adapter, adapter.layout(*SIZE)) == (1, 7)
    assert code_of(adapter, ref_of(adapter), 8) == "placeholder_mismatch"


@pytest.mark.parametrize("family", [name for name in FAMILIES if not FAMILIES[name].conventions])
def test_a_family_without_conventions_has_one_length(family: str) -> None:
    adapter = get_adapter(family)
    layout = adapter.layout(*SIZE)
    assert placeholder_lengths(adapter, layout) == (layout.placeholder_length,)
    assert code_of(adapter, ref_of(adapter), 1) == "placeholder_mismatch"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_of_a_payload_is_compared(family: str) -> None:
    adapter = get_adapter(family)
    payload = to_builtins(adapter.layout(*SIZE).payload)
    assert Materializer(cache_bytes=0).materialize(ref_of(adapter, payload=payload)).rgb
    for name, value in payload.items():
        # Sides that are multiples of every merge size.
        other = value + 1 if isinstance(value, int) else [[*value[0][:-2], 12, 24]]
        assert code_of(adapter, ref_of(adapter, payload=payload | {name: other})) == "grid_mismatch"


def test_a_payload_of_a_third_partys_family_is_compared_by_its_values() -> None:
    class Tiles:
        """An adapter that gives its payload back with tuples, and lays out with lists."""

        family = "tiles"

        def __init__(self) -> None:
            self.own = get_adapter("qwen_vl")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.own, name)

        def layout(self, *size: int, **options: Any) -> Any:
            """The layout, with a payload of two fields."""
            found = self.own.layout(*size, **options)
            return msgspec.structs.replace(found, payload={"tiles": [2, 3], "count": 6})

        def parse_payload(self, payload: Any) -> Any:
            """The payload with tuples."""
            return {n: tuple(v) if isinstance(v, list) else v for n, v in payload.items()}

    adapter: Any = Tiles()
    good = ref_of(adapter, payload={"tiles": [2, 3]})
    materializer = Materializer(adapters={"tiles": adapter}, cache_bytes=0)
    assert materializer.materialize(good).rgb
    for payload in ({"tiles": [3, 2]}, {"tiles": [2, 3], "count": 7}, {"more": 1}):
        assert code_of(adapter, ref_of(adapter, payload=payload)) == "grid_mismatch"


def test_a_server_takes_the_convention_of_its_engine_alone() -> None:
    adapter = KIMI[1]
    ref = ref_of(adapter)
    served = Served(RefImages(adapter, Settings(), Naming(None, "")))

    def translated(length: int) -> list[int]:
        features = {
            "mm_hashes": {"vision_chunk": [ref.mm_hash]},
            "mm_placeholders": {"vision_chunk": [{"offset": 1, "length": length}]},
            "kwargs_data": {"vision_chunk": [format_ref(ref)]},
        }
        body: dict[str, Any] = {"token_ids": [7, *[163605] * length], "features": features}
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
        found = translate(raw, served)
        assert found is not None
        return msgspec.json.decode(found[0]["token_ids"], type=list[int])

    assert translated(adapter.layout(*SIZE).num_tokens) == [7, 163605]
    with pytest.raises(MMRawError) as caught:
        translated(1)
    assert caught.value.code == "placeholder_mismatch"
    assert caught.value.path == "$.kwargs_data.vision_chunk[0].placeholder_length"
