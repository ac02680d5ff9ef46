"""The family of a served model, and its layout as the model's own processor computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ..wire._generated.errors import ErrorCode
from ..wire._generated.families import FAMILIES, Expansion
from ..wire.errors import MMRawError
from .base import GRID_KEY, Adapter, Layout
from .built_in import BuiltInAdapter
from .config import checked_config, found_in
from .conventions import EXPANDED
from .given import type_of
from .owner import as_of_family
from .readings import differs
from .registry import get_adapter

#: Pictures that vLLM expands when it starts: one that grows, one that keeps its size, one off
#: the raster, a large one, and one on the raster of all published patches, which is laid out
#: even if images are not resized.
PROBES = ((64, 48), (640, 480), (333, 517), (1920, 1080), (672, 1344))

#: Family by `model_type` of the model's configuration.
FAMILY_BY_MODEL_TYPE = {
    model_type: family for family, info in FAMILIES.items() for model_type in info.vllm.model_types
}
#: Those that SGLang has beside vLLM's.
_OF_SGLANG = {
    model_type: family
    for family, info in FAMILIES.items()
    for model_type in info.sglang.model_types
}


def family_of(model_type: str, engine: str = "vllm") -> str:
    """The family of a model.

    Args:
        model_type: Of its configuration.
        engine: The server, `vllm` or `sglang`.

    Raises:
        MMRawError: unknown_family.
    """
    family = FAMILY_BY_MODEL_TYPE.get(model_type)
    if family is None and engine == "sglang":
        family = _OF_SGLANG.get(model_type)
    if family is None:
        message = "the model's family is unknown; name it in MMRAW_FAMILY"
        raise MMRawError("unknown_family", message)
    return family


def server_adapter(
    family: str,
    processor: Mapping[str, Any],
    overrides: Mapping[str, Any],
    places: Mapping[str, Any] | None = None,
    engine: str = "vllm",
) -> Adapter:
    """The adapter under the layout parameters of the server.

    Args:
        family: The model's family.
        processor: The image processor's configuration, as its preprocessor_config.json has it.
        overrides: What the server was started with (`--mm-processor-kwargs`).
        places: The objects `model_config` and `processor` of the server, and `served`, SGLang's
            own processor, where a family's parameters may stand
            (spec/families/<name>/family.json).
        engine: The server, `vllm` or `sglang`.

    Raises:
        MMRawError: invalid_config, unknown_family.
    """
    placeholder = served_convention(family)
    images = cast("Mapping[str, Any]", overrides.get("images_kwargs") or {})
    info = FAMILIES.get(family)
    if info is None:
        return get_adapter(family, {**processor, **overrides, **images}, placeholder=placeholder)
    changes = _parameters(getattr(info, engine), places or {})
    for values in (overrides, images):
        changes |= {name: v for name, v in found_in(values, info).items() if v is not None}
    document = as_of_family(processor, family)
    parameters = {**found_in(processor, info), **changes}
    if type_of(processor) is None and {*info.required} <= {*parameters}:
        # A server's own classes do not have these names; the missing values are elsewhere.
        document, changes = {}, parameters
    found = get_adapter(family, document, placeholder=placeholder)
    adapter = cast("BuiltInAdapter[Any, Any]", found)
    config = checked_config({**msgspec.structs.asdict(adapter.config), **changes}, info)
    return type(adapter)(config, adapter.placeholder, adapter.line)


def _parameters(column: Expansion, places: Mapping[str, Any]) -> dict[str, Any]:
    """The layout parameters that the server has elsewhere than in its image processor."""
    model_type = _at(places, "model_config.hf_config.model_type")
    found: dict[str, Any] = {}
    for name, place in column.parameters.items():
        if isinstance(place, dict):
            place = cast("dict[str, Any]", place).get(model_type)
        found[name] = _at(places, place) if isinstance(place, str) else place
    return {name: value for name, value in found.items() if value is not None}


def _at(root: Any, path: str) -> Any:
    """The value under a path of keys and attributes; None if it is absent."""
    for name in path.split("."):
        if isinstance(root, Mapping):
            root = cast("Mapping[str, Any]", root).get(name)
        else:
            root = getattr(root, name, None)
    return root


def refusal_of(family: str, forms: Sequence[str], engine: str = "vllm") -> str | None:
    """Why prompts of one of these forms cannot be foretold; None if they can be."""
    info = FAMILIES.get(family)
    refused: dict[str, str] = {} if info is None else getattr(info, engine).refused
    return next((refused[form] for form in forms if form in refused), None)


def trials(adapter: Adapter) -> dict[tuple[int, int], Layout]:
    """The layouts of trial images, by their sizes; those without a layout are left out.

    Raises:
        MMRawError: layout_refused (none of them has one), what else the adapter's `layout` raises.
    """
    found: dict[tuple[int, int], Layout] = {}
    refused: MMRawError | None = None
    for size in PROBES:
        try:
            found[size] = adapter.layout(*size)
        except MMRawError as error:
            if error.code != "layout_refused":
                raise
            refused = error
    if refused is not None and not found:
        raise MMRawError(refused.code, f"no trial image can be laid out: {refused.message}")
    return found


def target_of(adapter: Adapter) -> str:
    """The token that vLLM expands for an image."""
    info = FAMILIES.get(adapter.family)
    if info is None or info.vllm.target == info.placeholder.token:
        return adapter.pad_token
    return info.vllm.target


def item_names(family: str, engine: str = "vllm") -> Mapping[str, str]:
    """Returns what a server's items say of the layout, by name, with the reading of each."""
    info = FAMILIES.get(family)
    return {GRID_KEY: "grid_thw"} if info is None else getattr(info, engine).item


def processor_document(processor: Any) -> dict[str, Any]:
    """The configuration of an image processor, as its preprocessor_config.json has it.

    Args:
        processor: The server's; where it is none, such as a tokenizer or None, the configuration
            is empty.
    """
    media = getattr(processor, "media_proc_cfg", None)
    if media is not None:
        return {"media_proc_cfg": media}
    return processor.to_dict() if hasattr(processor, "to_dict") else {}


def misfit_of(
    said: Mapping[str, Any], names: Mapping[str, str | None], tokens: int, layout: Layout
) -> tuple[ErrorCode, str] | None:
    """Returns how a server's processor deviates from an image's layout; None if it does not.

    Args:
        said: What it says of the image, by name.
        names: The readings of these names.
        tokens: How many tokens it counts.
        layout: The image's.
    """
    if differs({name: said[name] for name in names if name in said}, names, layout):
        return "grid_mismatch", "another grid than the family's layout"
    return None if tokens == layout.num_tokens else ("placeholder_mismatch", "another token count")


def trial_error(misfit: tuple[ErrorCode, str], size: tuple[int, int]) -> MMRawError:
    """The error that stops a start: what the server counts by is not in its configuration."""
    where = f"on a trial image of {size[0]}x{size[1]} pixels"
    rest = "the layout parameters that were found are not all it counts by"
    return MMRawError(misfit[0], f"{where}, the server's processor gives {misfit[1]}; {rest}")


def served_convention(family: str) -> str | None:
    """The placeholder convention that an engine can serve; None if the family has one alone.

    The engine embeds one vector at every placeholder token, so one token for a whole image cannot
    be served.
    """
    info = FAMILIES.get(family)
    return EXPANDED if info is not None and EXPANDED in info.conventions else None
