"""A built-in family: its folder of spec/families/, and one module in each language."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from checkout import ITEM, REF, Checkout, Refusal, json_ref

FAMILY = {
    "family": "tile_vl",
    "title": "Tile VL",
    "default": False,
    "feature_modality": "image",
    "grid": {"grid_hw": "tile_grid"},
    "placeholder": {"token": "<tile>", "before": "<", "after": ">", "conventions": []},
    "image_processor_types": {"TileVlImageProcessor": {}},
    "required": ["tile_size"],
    "configuration": {},
    "tensors": {"outputs": {}},
    "answers": {},
    "vllm": {"model_types": ["tile_vl_chat"], "target": "<tile>"},
    "sglang": {},
    "lines": {
        "tile_vl": {"model_types": ["tile_vl"], "processor_classes": ["TileVlProcessor"]},
        "tile_vl_large": {
            "model_types": ["tile_vl_large"],
            "processor_classes": ["TileVlProcessor"],
            "parameters": {"tile_size": 896},
        },
    },
    "renderers": {},
}
SIDE = {
    "type": "integer",
    "minimum": 1,
    "maximum": 1048576,
    "x-mmraw-limit": "grid_patches",
    "x-mmraw-error": "invalid_grid",
    "x-mmraw-hint": "an integer from 1 to {limit}",
}
ROW = {
    "title": "Tiles of one image",
    "type": "array",
    "prefixItems": [{"$ref": "#/$defs/TileSide"}, {"$ref": "#/$defs/TileSide"}],
    "items": False,
    "minItems": 2,
    "x-mmraw-product-limit": "grid_patches",
    "x-mmraw-error": "invalid_grid",
    "x-mmraw-hint": "one row [h, w] of positive integers",
}
PAYLOAD = {
    "title": "Payload of family tile_vl",
    "description": "How many tiles the image is cut into.",
    "type": "object",
    "additionalProperties": False,
    "required": ["tile_grid"],
    "properties": {
        "tile_grid": {
            "description": "Tiles down and across.",
            "type": "array",
            "prefixItems": [{"$ref": "#/$defs/TileRow"}],
            "items": False,
            "minItems": 1,
            "x-mmraw-error": "invalid_grid",
            "x-mmraw-hint": "exactly one row [h, w]",
        }
    },
}
LAYOUT = {
    "title": "Layout parameters of family tile_vl",
    "description": "The side of a tile.",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "tile_size": {
            "title": "Tile size",
            "type": "integer",
            "minimum": 1,
            "maximum": 4096,
            "default": 448,
            "x-mmraw-hint": "an integer from 1 to 4096",
        }
    },
    "x-mmraw-family": "tile_vl",
}


def schema(name: str, definition: str, **others: Any) -> str:
    """A schema file of the family."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:mmraw:{name}:tile_vl",
        "title": others[definition]["title"],
        "description": others[definition]["description"],
        "$ref": f"#/$defs/{definition}",
        "$defs": others,
    }
    return json.dumps(document, indent=2)


PYTHON = '''
"""Tile VL (family `tile_vl`): an image is cut into square tiles, each of them one token."""

from __future__ import annotations

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import TileVlLayout, TileVlPayload
from .base import Layout
from .built_in import BuiltInAdapter
from .grid import check_grid


class TileVlAdapter(BuiltInAdapter[TileVlLayout, TileVlPayload], family="tile_vl"):
    """The adapter of this family."""

    @property
    def merge_size(self) -> int:
        """Tiles per token along one side."""
        return 1

    def layout(self, width: int, height: int, *, limits: Limits = DEFAULT_LIMITS) -> Layout:
        """The layout of an image of `width` x `height` pixels."""
        self.check_size(width, height, limits)
        side = self.config.tile_size
        h, w = -(-height // side), -(-width // side)
        grid = check_grid((1, h, w), merge_size=1, limits=limits, path="$.grid_thw")
        return Layout(
            grid_thw=grid,
            num_tokens=h * w,
            placeholder_length=h * w,
            payload=TileVlPayload(tile_grid=((h, w),)),
            resized=(w * side, h * side),
            content=(width, height),
        )


ADAPTER = TileVlAdapter
'''
TYPESCRIPT = """
/** Tile VL (family `tile_vl`): an image is cut into square tiles, each of them one token. */
import type { Limits } from "../generated/limits.js";
import type { TileVlLayout } from "../generated/types.js";
import { checkGrid } from "./grid.js";
import type { Layout } from "./layout.js";

export function mergeSizeOf(): number {
  return 1;
}

export function layoutOf(
  { tile_size }: TileVlLayout,
  width: number,
  height: number,
  limits: Limits,
): Layout {
  const h = Math.ceil(height / tile_size);
  const w = Math.ceil(width / tile_size);
  return {
    grid_thw: checkGrid([1, h, w], 1, limits),
    num_tokens: h * w,
    placeholder_length: h * w,
    payload: { tile_grid: [[h, w]] },
    resized: [w * tile_size, h * tile_size],
    content: [width, height],
  };
}
"""
FILES = {
    "spec/families/tile_vl/family.json": json.dumps(FAMILY),
    "spec/families/tile_vl/layout.md": "# Layout of `tile_vl`\n\n1. Cut into tiles.\n",
    "spec/families/tile_vl/payload.schema.json": schema(
        "payload", "TileVlPayload", TileSide=SIDE, TileRow=ROW, TileVlPayload=PAYLOAD
    ),
    "spec/families/tile_vl/layout.schema.json": schema(
        "layout", "TileVlLayout", TileVlLayout=LAYOUT
    ),
    "mmraw_protocol/families/tile_vl.py": PYTHON.lstrip(),
    "typescript/src/families/tile_vl.ts": TYPESCRIPT.lstrip(),
}
NEW = {**REF, "family": "tile_vl", "payload": {"tile_grid": [[2, 3]]}}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("family"))
    for name, text in FILES.items():
        checkout.write(name, text)
    checkout.make()
    yield checkout
    checkout.close()


def test_only_its_folder_and_a_module_in_each_language_are_written(checkout: Checkout) -> None:
    assert checkout.edited() == set(FILES)
    assert checkout.codegen("--check") == (0, "")


def test_both_languages_read_it_and_write_it_canonically(checkout: Checkout) -> None:
    text = json_ref(NEW)
    assert checkout.ask("parse_ref", ref=text) == {"dialect": "v3", "fields": NEW}
    assert checkout.ask("format_ref", fields=NEW, dialect="v3") == {"ref": text}
    item = {**ITEM, "family": "tile_vl", "payload": NEW["payload"]}
    assert checkout.ask("parse_item", item=item) == {"item": item}


def test_it_is_converted_where_the_dialect_has_a_place_for_it(checkout: Checkout) -> None:
    text = json_ref(NEW)
    older = checkout.ask("convert_ref", ref=text, to="v2")["ref"]
    assert older.startswith("mmraw:v2:exp42:tile_vl:")
    assert checkout.ask("convert_ref", ref=older, to="v3") == {"ref": text}
    refused = checkout.ask("convert_ref", ref=text, to="v1")
    assert refused == Refusal("not_convertible", "$.family")


@pytest.mark.parametrize(
    ("grid", "code", "place"),
    [
        ([[2, 1000000]], "limit_exceeded", "[0]"),
        ([[1, 3, 1000000]], "invalid_grid", "[0]"),
        ([[0, 3]], "invalid_grid", "[0][0]"),
        ([[2, 3.0]], "invalid_grid", "[0][1]"),
        ([[2, 3], [2, 3]], "invalid_grid", ""),
        ({}, "invalid_grid", ""),
    ],
)
def test_the_rules_of_its_payload_are_enforced(
    checkout: Checkout, grid: Any, code: str, place: str
) -> None:
    payload = {"tile_grid": grid}
    refusal = Refusal(code, f"$.payload.tile_grid{place}")
    assert checkout.ask("parse_ref", ref=json_ref({**NEW, "payload": payload})) == refusal
    item = {**ITEM, "family": "tile_vl", "payload": payload}
    assert checkout.ask("parse_item", item=item) == refusal


def test_a_payload_of_another_family_is_refused(checkout: Checkout) -> None:
    text = json_ref({**NEW, "payload": REF["payload"]})
    assert checkout.ask("parse_ref", ref=text) == Refusal("unknown_field", "$.payload")


def test_both_languages_lay_images_out_alike(checkout: Checkout) -> None:
    def layout(**given: Any) -> Any:
        return checkout.ask("layout", family="tile_vl", width=1000, height=500, **given)

    assert layout()["payload"] == {"tile_grid": [[2, 3]]}
    assert layout(config="tile_vl_large")["num_tokens"] == 2
    assert layout(config={"tile_size": 1000, "do_resize": True})["num_tokens"] == 1
    assert layout(config={"tile_size": 0}) == Refusal("invalid_config", "$.tile_size")
    picture = str(checkout.folder / "examples/images/coffee.jpg")
    described = checkout.ask("describe", family="tile_vl", path=picture)
    assert described["payload"] == {"tile_grid": [[1, 2]]}


def test_it_is_found_by_its_configuration_and_its_model(checkout: Checkout) -> None:
    result = checkout.python(
        "from mmraw_protocol.families import family_of\n"
        "from mmraw_protocol.families import served\n"
        "kinds = [{'tile_size': 448}, {'image_processor_type': 'TileVlImageProcessorFast'},\n"
        "         {'image_processor': {}, 'model_type': 'tile_vl'}, 'tile_vl_large']\n"
        "result = [*map(family_of, kinds), served.family_of('tile_vl_chat')]"
    )
    assert result == ["tile_vl"] * 5


def test_strategies_generate_it(checkout: Checkout) -> None:
    assert checkout.find("refs('v3')", "parse_ref(value).family == 'tile_vl'")
    assert checkout.find("payloads('tile_vl')", "value['tile_grid'][0][1] > 9")
    wrong = checkout.find("refused_documents('TileVlPayload')", "value.get('tile_grid') == []")
    fields = {**NEW, "payload": wrong}
    assert checkout.ask("parse_ref", ref=json_ref(fields)).code == "invalid_grid"


def test_the_command_line_knows_it(checkout: Checkout) -> None:
    for command in ("layout", "pack"):
        assert "tile_vl" in checkout.mmraw(command, "--help")
    (row,) = json.loads(checkout.mmraw("layout", "1000x500", "--family", "tile_vl", "--json"))
    assert row["grid_thw"] == [1, 2, 3]
    assert "1x2x3" in checkout.mmraw("inspect", json_ref(NEW))
    assert "tile_grid" in checkout.mmraw("schema", "payload:tile_vl")


def test_the_bundled_schemas_know_it(checkout: Checkout) -> None:
    assert checkout.allows("ref-v3", NEW)
    assert not checkout.allows("ref-v3", {**NEW, "payload": {"tile_grid": [[0, 3]]}})
    assert checkout.allows("payload-tile_vl", NEW["payload"])


def test_prose_and_reference_and_the_inspector_explain_it(checkout: Checkout) -> None:
    assert '| `tile_vl` | `{"tile_grid": [[h, w]]}` |' in checkout.read("spec/README.md")
    assert "| `tile_vl` | tile_vl, tile_vl_large |" in checkout.read("README.md")
    assert "| `tile_vl` | [Payload of" in checkout.read("docs/reference/wire/payload-families.md")
    assert "`tile_grid`" in checkout.read("docs/reference/wire/payload-tile_vl.md")
    assert "`tile_size`" in checkout.read("docs/reference/wire/layout-tile_vl.md")
    page = checkout.read("docs/reference/families/tile_vl.md")
    assert "| tile_vl_large | tile_size 896 |" in page
    assert "\n1. Cut into tiles.\n" in page
    code = "import drawings; result = drawings.drawing('tile_vl')"
    assert "grid_hw 2x2; 4 tokens" in checkout.python(code)
    for text in ("Tile VL", "tile_vl_large", "How many tiles the image is cut into."):
        assert text in checkout.inspector
    code = f"const {{ family, payload }} = mmraw.parseRef({json_ref(NEW)!r});\n"
    code += "const result = [mmraw.FAMILIES.includes(family), mmraw.gridOf(family, payload)];"
    assert checkout.typescript(code) == [True, [1, 2, 3]]
