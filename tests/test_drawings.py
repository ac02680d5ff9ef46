"""The drawing of a family on its page: what the layout says is what is drawn."""

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol.families import get_adapter
from mmraw_protocol.wire._generated.families import FAMILIES

PLACE = Path(__file__).parent.parent / "docs" / "drawings.py"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawings() -> Any:
    spec = importlib.util.spec_from_file_location("drawings", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", FAMILIES)
def test_a_drawing_has_the_lines_of_its_grid(drawings: Any, family: str) -> None:
    text = drawings.drawing(family)
    assert text == drawings.drawing(family)
    adapter: Any = get_adapter(family)
    _, rows, columns = adapter.layout(*drawings.PICTURE).grid_thw
    *_, strong = ET.fromstring(text).findall(f"{SVG}path")
    cells = (rows + columns) // adapter.merge_size
    assert strong.get("d", "").count("M") == cells + 2


def test_tiles_have_a_thumbnail_and_rows_their_ends(drawings: Any) -> None:
    pictures = {name: drawings.drawing(name).count("<svg viewBox") for name in FAMILIES}
    assert {name for name, count in pictures.items() if count == 2} == {"internvl"}
    ends = {name: drawings.drawing(name).count("#0a53be") for name in FAMILIES}
    assert {name: count for name, count in ends.items() if count} == {"pixtral": 29}
