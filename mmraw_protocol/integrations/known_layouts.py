"""Layouts that images of a trainer's data have of their own, and how a processor gets them.

A ref names its layout parameters by their fingerprint alone. So a trainer follows those that it
knows: of its processor, of those that it was given, and of the messages that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from ..families import AUTO, WHOLE, Adapter, as_of_family, get_adapter
from ..families.own_layout import with_parameters
from ..wire._generated.families import FAMILIES
from ..wire.ref import RawMMRef

_SIZE = "size."


def adapter_of(
    processor: Any, placeholder: str | None = None, *, family: str | None = None
) -> Adapter:
    """The adapter with the layout parameters of a processor.

    Args:
        processor: An image processor of a built-in family, Transformers' own or that of a
            checkpoint, or the whole processor.
        placeholder: One of the family's placeholder conventions; None for the first.
        family: The family that the image processor is used for, where its class serves several
            models; None for the one that the processor is of.

    Raises:
        MMRawError: invalid_config, unknown_family.
    """
    document = _document_of(processor)
    if family is not None:
        document = as_of_family(document, family)
    return get_adapter(family or AUTO, document, placeholder=placeholder)


def _document_of(processor: Any) -> dict[str, Any]:
    """A processor's configuration, as it would be saved."""
    inner = getattr(processor, "image_processor", None)
    if inner is None:
        return dict(processor.to_dict())
    whole = {name: getattr(processor, name) for name in WHOLE if hasattr(processor, name)}
    document = dict(inner.to_dict())
    return {**whole, "processor_class": type(processor).__name__, "image_processor": document}


class KnownLayouts:
    """The adapters of one processor, by what refs say of their layout.

    Args:
        adapter: The processor's own.
        layouts: Layout parameters that replace its own for some images.

    Raises:
        MMRawError: unsupported_option, invalid_config.
    """

    def __init__(self, adapter: Adapter, layouts: Sequence[Mapping[str, Any]]) -> None:
        self._adapters = [adapter]
        for parameters in layouts:
            self.add(parameters)

    def add(self, parameters: Mapping[str, Any]) -> Adapter:
        """The adapter under these parameters, which is known from now on."""
        adapter = with_parameters(self._adapters[0], parameters)
        if adapter not in self._adapters:
            self._adapters.append(adapter)
        return adapter

    def adapter_of(self, ref: RawMMRef) -> Adapter:
        """The adapter whose fingerprint the ref has; the processor's own where none has it."""
        own, *others = self._adapters
        if ref.fingerprint is None or not others:
            return own
        found = (one for one in others if one.fingerprint(ref.dialect) == ref.fingerprint)
        return next(found, own)


def size_of(adapter: Adapter) -> dict[str, Any]:
    """Arguments that make a Transformers processor lay out as the adapter does."""
    info = FAMILIES.get(adapter.family)
    config: Any = getattr(adapter, "config", None)
    if info is None or config is None:
        return {}
    values = asdict(config)
    sizes = {
        place.removeprefix(_SIZE): values[name]
        for name, places in info.config_names.items()
        for place in places
        if place.startswith(_SIZE) and "=" not in place
    }
    return {"size": sizes} if sizes else {}
