"""Which family a served model is of, and its layout as the model's own processor has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...families import Adapter, get_adapter
from ...wire._generated.families import FAMILIES
from ...wire.errors import MMRawError

#: One placeholder token for each token of the image.
EXPANDED = "expanded"

#: Family by `model_type` of the model's configuration.
FAMILY_BY_MODEL_TYPE = {
    model_type: family for family, info in FAMILIES.items() for model_type in info.vllm.model_types
}


def family_of(model_type: str) -> str:
    """The family of a model.

    Raises:
        MMRawError: unknown_family.
    """
    family = FAMILY_BY_MODEL_TYPE.get(model_type)
    if family is None:
        message = "the model is of no known family; MMRAW_FAMILY names the one that it is of"
        raise MMRawError("unknown_family", message)
    return family


def server_adapter(
    family: str, processor: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Adapter:
    """The adapter under the layout parameters of the server's image processor.

    Args:
        family: The model's family.
        processor: The image processor's configuration, as its preprocessor_config.json has it.
        overrides: What the server was started with (`--mm-processor-kwargs`).

    Raises:
        MMRawError: invalid_config, unknown_family.
    """
    document = dict(processor)
    _override(document, overrides)
    _override(document, cast("Mapping[str, Any]", overrides.get("images_kwargs") or {}))
    return get_adapter(family, document, placeholder=served_convention(family))


def served_convention(family: str) -> str | None:
    """The placeholder convention that an engine can serve; None where the family has one alone.

    The engine embeds one vector at every placeholder token, so one token for a whole image cannot
    be served.
    """
    info = FAMILIES.get(family)
    return EXPANDED if info is not None and EXPANDED in info.conventions else None


def _override(document: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name in ("patch_size", "temporal_patch_size", "merge_size"):
        if values.get(name) is not None:
            document[name] = values[name]
    edges = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
    given = cast("Mapping[str, Any]", values.get("size") or {})
    for pixels, edge in edges.items():
        value = values.get(pixels) if values.get(pixels) is not None else given.get(edge)
        if value is not None:
            size = cast("Mapping[str, Any]", document.get("size") or {})
            document["size"] = {**size, edge: value}
            document.pop(pixels, None)
