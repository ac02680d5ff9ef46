"""Emits wire/_generated/families.py: what the folders of spec/families/ say."""

from __future__ import annotations

from .ir import Model
from .python_text import header, literal, snake

_FAMILY_CLASS = '''from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from ..check import Check
from . import checks, types


class FamilyInfo(NamedTuple):
    """What spec/families/<name>/ says of a built-in family.

    Attributes:
        family: Its name in refs and envelopes.
        title: Its name for people.
        feature_modality: The modality under which the inference server files its images.
        token: The placeholder token.
        before, after: What stands around the placeholder tokens in a prompt.
        conventions: The placeholder conventions, the default first; empty where there is one.
        payload: The struct of its payload.
        read_payload: The payload of a JSON text, unchecked.
        grid_key: The field of the payload that is the grid.
        layout: The struct of its layout parameters, with the published defaults.
        check_layout: The check of layout parameters.
        presets: Layout parameters of lines of checkpoints that differ from the defaults.
        fingerprint_order: The layout parameters in the positional fingerprint, where it has one.
        vllm_model_types: `model_type` of the models that vLLM serves.
        renderers: The classes of the package renderers, by the name that people use.
    """

    family: str
    title: str
    feature_modality: str
    token: str
    before: str
    after: str
    conventions: tuple[str, ...]
    payload: type[Struct]
    read_payload: Callable[[bytes], Any]
    grid_key: str
    layout: type[Struct]
    check_layout: Check
    presets: dict[str, dict[str, Any]]
    fingerprint_order: tuple[str, ...]
    vllm_model_types: tuple[str, ...]
    renderers: dict[str, str]
'''


def emit(model: Model) -> dict[str, str]:
    """The generated module, by file name."""
    return {"families.py": _families(model), "modalities.py": _modalities(model)}


def _modalities(model: Model) -> str:
    head = header(model, "The modalities that an error's path may name.", "families/")
    text = "#: Other keys of maps are input and stay out of paths.\n"
    return f"{head}\n\n{text}MODALITIES = frozenset({model.modalities!r})\n"


def _families(model: Model) -> str:
    out = [
        header(
            model,
            "The built-in families, from the folders of spec/families/.",
            "common/",
            "families/",
            "limits.json",
        ),
        _FAMILY_CLASS,
    ]
    rows = "".join(_family(model, family) for family in model.spec.families)
    out.append(f"FAMILIES: dict[str, FamilyInfo] = {{\n{rows}}}\n")
    default = next(name for name, info in model.spec.families.items() if info["default"])
    out.append(f"#: The family where a person names none.\nDEFAULT_FAMILY = {default!r}\n")
    return "\n\n".join(out)


def _family(model: Model, family: str) -> str:
    info = model.spec.families[family]
    placeholder = info["placeholder"]
    variant = next(v for v in model.built_in if v.family == family)
    layout = model.layout_of(family)
    grid = model.grid_key(variant.payload)
    return (
        f"    {family!r}: FamilyInfo(\n        family={family!r},\n"
        f"        title={info['title']!r},\n"
        f"        feature_modality={info['feature_modality']!r},\n"
        f"        token={placeholder['token']!r},\n        before={placeholder['before']!r},\n"
        f"        after={placeholder['after']!r},\n"
        f"        conventions={literal(placeholder['conventions'])},\n"
        f"        payload=types.{variant.payload},\n"
        f"        read_payload=Decoder(types.{variant.payload}).decode,\n"
        f"        grid_key={grid!r},\n"
        f"        layout=types.{layout.name},\n"
        f"        check_layout=checks.check_{snake(layout.name)},\n"
        f"        presets={info['presets']!r},\n"
        f"        fingerprint_order={layout.fingerprint_order!r},\n"
        f"        vllm_model_types={literal(info['vllm_model_types'])},\n"
        f"        renderers={info['renderers']!r},\n    ),\n"
    )
