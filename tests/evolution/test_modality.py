"""A modality that is rejected by name: spec/modalities.json alone is edited."""

from collections.abc import Iterator

import pytest
from checkout import Checkout, Refusal

DEPTH = {"parts": ["depth_map"], "media_type": "depth/", "remedy": "leave it out"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("modality"))
    checkout.edit("spec/modalities.json", lambda it: it["unsupported"].update(depth=DEPTH))
    checkout.make()
    yield checkout
    checkout.close()


def test_only_the_table_is_edited(checkout: Checkout) -> None:
    assert checkout.edited() == {"spec/modalities.json"}
    assert checkout.codegen("--check") == (0, "")


def test_both_languages_refuse_it_by_name(checkout: Checkout) -> None:
    refusal = Refusal("modality_unsupported", "$")
    assert checkout.ask("image_part", part={"type": "depth_map"}) == refusal
    assert checkout.ask("image_part", part={"depth_map": "x"}) == refusal
    media = {"inline_data": {"mime_type": "depth/raw"}}
    assert checkout.ask("image_part", part=media) == refusal
    maps = {"kwargs_data": {}, "mm_hashes": {"depth": ["0"]}, "mm_placeholders": {}}
    place = Refusal("modality_unsupported", "$.mm_hashes.depth")
    assert checkout.ask("parse_features", features=maps) == place
