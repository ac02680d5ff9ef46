"""Reads family.json of the folders of spec/families/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from .subset import Json, SchemaError

FAMILY_KEYS = frozenset(
    {
        "answers",
        "configuration",
        "default",
        "family",
        "feature_modality",
        "grid",
        "image_processor_types",
        "lines",
        "placeholder",
        "renderers",
        "required",
        "sglang",
        "tensors",
        "title",
        "vllm",
    }
)
#: Keys that a family.json may omit, with the value that they then have.
_PLACEHOLDER: Json = {"conventions": [], "row_end": "", "end": ""}
_EXPANSION: Json = {"before": "", "after": "", "refused": {}, "item": {}, "parameters": {}}
#: Of an engine whose expansion of the family was not tried, the target is empty.
_ENGINES: dict[str, Json] = {
    "vllm": _EXPANSION,
    "sglang": {"target": "", "model_types": [], **_EXPANSION},
}
_LINE: Json = {"parameters": {}, "placeholder": {}, "token_ids": {}}
_TENSORS: Json = {"call": {}, "outputs": {}, "token_types": "", "positions": ""}
_OUTPUT: Json = {"output": "", "shape": [], "values": [], "returned": True, "padded": False}
_CONFIGURATION: Json = {
    "whole": [],
    # The forms that Transformers takes at all, for a processor that makes no use of `size`.
    "sizes": [
        ["height", "width"],
        ["longest_edge"],
        ["longest_edge", "shortest_edge"],
        ["max_height", "max_width"],
        ["max_pixels", "min_pixels"],
        ["shortest_edge"],
    ],
    "square": False,
    "null": {},
    "fixed": {},
    "agreeing": False,
    "shared_model_types": [],
}


def load_families(root: Path) -> dict[str, Json]:
    """Reads family.json of every folder of families/, by the family's name."""
    families: dict[str, Json] = {}
    for folder in sorted(it for it in (root / "families").iterdir() if it.is_dir()):
        document = cast(Json, json.loads((folder / "family.json").read_bytes()))
        path = f"families/{folder.name}/family.json"
        if document.keys() != FAMILY_KEYS:
            raise SchemaError(f"{path}: the keys are {', '.join(sorted(FAMILY_KEYS))}")
        unknown = document["configuration"].keys() - _CONFIGURATION.keys()
        if unknown:
            raise SchemaError(f"{path}: configuration has no {', '.join(sorted(unknown))}")
        if document["family"] != folder.name:
            raise SchemaError(f"{path}: family must be the folder's name")
        layout = folder / "layout.md"
        if not layout.exists():
            raise SchemaError(f"families/{folder.name}: no layout.md with its arithmetic")
        families[folder.name] = {**_filled(document), "arithmetic": layout.read_text("utf-8")}
    return families


def _filled(document: Json) -> Json:
    """Fills in what a family.json omits; a line has a whole placeholder of its own."""
    placeholder = {**_PLACEHOLDER, **document["placeholder"]}
    lines = {name: {**_LINE, **line} for name, line in document["lines"].items()}
    for line in lines.values():
        line["placeholder"] = {**placeholder, **line["placeholder"]}
    engines = {name: {**usual, **document[name]} for name, usual in _ENGINES.items()}
    tensors = {**_TENSORS, **document["tensors"]}
    tensors["outputs"] = {
        name: {**_OUTPUT, "output": name, **given} for name, given in tensors["outputs"].items()
    }
    if tensors.keys() != _TENSORS.keys() or tensors["positions"] not in ("", "grid"):
        raise SchemaError(f"{document['family']}: tensors has {', '.join(sorted(_TENSORS))}")
    if any(given.keys() != _OUTPUT.keys() for given in tensors["outputs"].values()):
        raise SchemaError(f"{document['family']}: an output has {', '.join(sorted(_OUTPUT))}")
    said = {"placeholder": placeholder, "tensors": tensors, "lines": lines, **engines}
    said["configuration"] = {**_CONFIGURATION, **document["configuration"]}
    return {**document, **said}
