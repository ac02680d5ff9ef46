"""vLLM's renderers, each with a look at what goes into it and what comes out of it.

Every route that has images, and `LLM`, goes through `process_for_engine` of vLLM's renderer. These
classes stand in its RENDERER_REGISTRY, as a plugin's may; each is made when it is first asked for.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from ...wire.errors import MMRawError
from ..serving.identity import name_of, of_client
from . import process
from .errors import vllm_error

#: Modules of the renderers that ours extend, by the names of ours.
_BASES: dict[str, str] = {}


def install(registry: Any) -> None:
    """Puts our renderers in front of those of a RENDERER_REGISTRY; once is enough."""
    for mode, (module, kind) in registry.renderers.items():
        if module != __name__:
            name = f"{module}.{kind}"
            _BASES[name.replace(".", "_")] = name
            # Its own `register` warns of every renderer that is replaced.
            registry.renderers[mode] = (__name__, name.replace(".", "_"))


def __getattr__(name: str) -> Any:
    if name not in _BASES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, kind = _BASES[name].rpartition(".")
    made = globals()[name] = renderer_class(getattr(import_module(module), kind))
    return made


def renderer_class(base: type[Any]) -> type[Any]:
    """The renderer on top of one of vLLM's."""

    class RefRenderer(base):
        """Names pictures, and compares what vLLM makes of a prompt with what was asked for."""

        takes_refs = True

        def process_for_engine(self, prompt: Any, *args: Any, **options: Any) -> Any:
            """Returns what the engine gets.

            Raises:
                VLLMValidationError: vLLM expanded an image otherwise than its ref says.
            """
            found = super().process_for_engine(named(prompt), *args, **options)
            return _compared(prompt, found, self.mm_processor_cache)

        async def process_for_engine_async(self, prompt: Any, *args: Any, **options: Any) -> Any:
            """Returns what the engine gets.

            Raises:
                VLLMValidationError: vLLM expanded an image otherwise than its ref says.
            """
            found = await super().process_for_engine_async(named(prompt), *args, **options)
            return _compared(prompt, found, self.mm_processor_cache)

    RefRenderer.__name__ = RefRenderer.__qualname__ = base.__name__
    return RefRenderer


def _compared(prompt: Mapping[str, Any], found: Any, cache: Any) -> Any:
    failed: MMRawError | None = None
    try:
        _compare(prompt, found)
    except MMRawError as error:
        failed = error
    if failed is None:
        _free(prompt)
        return found
    # The engine never gets what vLLM now believes to be there.
    for modality, items in found["mm_kwargs"].items():
        for item, identity in zip(items, found["mm_hashes"][modality], strict=True):
            if item is not None and cache is not None:
                cache.invalidate(identity)
    raise vllm_error(failed)


def _free(prompt: Mapping[str, Any]) -> None:
    """Drops the pictures of a request: vLLM holds them as long as it generates."""
    request = process.announced.get()
    if request is None:
        return
    for items in (prompt.get("multi_modal_data") or {}).values():
        for item in listed(items):
            if name_of(item) is not None:
                (item["image"] if isinstance(item, dict) else item).close()
    request.loads.release()


def _compare(prompt: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """The last check before the engine.

    Raises:
        MMRawError: placeholder_mismatch, span_mismatch.
    """
    for modality, items in (prompt.get("multi_modal_data") or {}).items():
        names = [name_of(item) for item in listed(items)]
        places: list[Any] = found["mm_placeholders"][modality] if any(names) else []
        for index, (name, place) in enumerate(zip(names, places, strict=False)):
            count = place.get_num_embeds()
            if name is not None and count != name.num_tokens:
                message = (
                    f"expected {name.num_tokens} tokens, got {count} of the server's processor"
                )
                raise MMRawError("placeholder_mismatch", message, f"$.images[{index}]")
    request = process.announced.get()
    expected = None if request is None else request.expanded
    if expected is not None and cast("list[int]", found["prompt_token_ids"]) != expected:
        message = "the server expands the prompt otherwise than it was sent"
        raise MMRawError("span_mismatch", message, "")


def named(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """A prompt of vLLM's in which pictures of refs have their names, and all else a client's."""
    found = dict(prompt)
    for part in ("encoder_prompt", "decoder_prompt"):
        if isinstance(found.get(part), dict):
            found[part] = named(found[part])
    given: Mapping[str, Any] = found.get("multi_modal_uuids") or {}
    uuids = {m: [*map(of_client, listed(u))] for m, u in given.items() if u is not None}
    data: Mapping[str, Any] = found.get("multi_modal_data") or {}
    for modality, items in data.items():
        names = [name_of(item) for item in listed(items)]
        if any(names):
            pairs = zip(names, uuids.get(modality) or [None] * len(names), strict=True)
            uuids[modality] = [uuid if name is None else name.identity for name, uuid in pairs]
    return {**found, "multi_modal_uuids": uuids} if uuids else found


def listed(items: Any) -> list[Any]:
    """The items of a modality; vLLM also takes a single one."""
    return cast("list[Any]", items) if isinstance(items, list) else [items]
