"""Media that a server may load itself: those without a ref, unless it takes refs only."""

from typing import Any

import pytest
from refusals import refusal

from mmraw_protocol import MMRawError
from mmraw_protocol.families import get_adapter
from mmraw_protocol.integrations.serving.identity import Naming
from mmraw_protocol.integrations.serving.ref_images import RefImages
from mmraw_protocol.integrations.serving.settings import Settings

REF = "mmraw:v3:e30"


def images(**settings: Any) -> RefImages:
    """The pictures of a server without a store."""
    return RefImages(get_adapter("qwen_vl"), Settings(**settings), Naming(None, ""))


@pytest.mark.parametrize(
    "item",
    [
        REF,
        "mmfile:x",
        [REF],
        ({"image_url": {"url": REF}},),
        {"pixel_values": [[1.0, 2.0]], "url": REF},
        {"url": [None, {"url": [REF]}]},
    ],
)
def test_a_ref_in_another_form_is_refused(item: Any) -> None:
    found = refusal(images().check_other, item, "$.images[1]")
    assert found == ("invalid_type", "$.images[1]")


def test_a_ref_at_any_depth_is_found() -> None:
    item: Any = REF
    for _ in range(100_000):
        item = [item]
    with pytest.raises(MMRawError, match="another form"):
        images().check_other(item)


OTHERS: list[Any] = [
    "data:image/png;base64,AA==",
    "http://example.com/a.png?mmraw:v3:",
    b"\x89PNG",
    {"url": "file:///a.png", "detail": "auto"},
    {"pixel_values": [[0.5] * 9]},
    [],
    {},
]


@pytest.mark.parametrize("item", OTHERS)
def test_other_media_are_loaded_by_the_server(item: Any) -> None:
    images().check_other(item)


@pytest.mark.parametrize("item", OTHERS)
def test_a_server_that_takes_refs_only_refuses_them(item: Any) -> None:
    strict = images(refs_only=True)
    assert refusal(strict.check_other, item) == ("not_a_ref", "$")
    strict.check_other(None)
