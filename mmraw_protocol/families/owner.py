"""Finds the owner of a configuration: a family, or another model.

The type of the image processor does not say it alone: models with prompts and layouts of their own
share a class. So the class of the whole processor and the model's type must be the family's too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..wire._generated.families import FAMILIES, FamilyInfo
from ..wire.errors import MMRawError
from .given import Given, type_of

#: The layout parameters that some family has on its whole processor.
WHOLE = tuple(sorted({name for info in FAMILIES.values() for name in info.configuration.whole}))
#: The form of keys of a file that an error may name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


def check_owner(given: Given, info: FamilyInfo) -> None:
    """A configuration names no other model, and all that is needed to know its own.

    Raises:
        MMRawError: invalid_config.
    """
    kind = type_of(given.processor)
    rows = (
        (f"{given.path}.image_processor_type", kind, tuple(info.image_processor_types)),
        ("$.processor_class", given.processor_class, classes_of(info)),
        ("$.model_type", given.model_type, model_types_of(info)),
    )
    for path, theirs, ours in rows:
        if theirs is not None and theirs not in ours:
            message = f"the configuration is of {shown(theirs)}; family {info.family} is of "
            raise MMRawError("invalid_config", message + ", ".join(ours), path)
    configuration = info.configuration
    models = {None, *configuration.shared_model_types}
    shared = bool(configuration.whole) and given.processor_class is None
    if kind is not None and shared and given.model_type in models:
        message = f"{kind} serves several models: expected processor_class "
        message += f"{' or '.join(classes_of(info))}, or the model_type, of family {info.family}"
        raise MMRawError("invalid_config", message, "$.processor_class")


def classes_of(info: FamilyInfo) -> tuple[str, ...]:
    """The classes of the family's processors."""
    names = (name for line in info.lines.values() for name in line.processor_classes)
    return tuple(dict.fromkeys(names))


def model_types_of(info: FamilyInfo) -> tuple[str, ...]:
    """The types of the family's models."""
    return tuple(name for line in info.lines.values() for name in line.model_types)


def line_of(given: Given, info: FamilyInfo) -> str | None:
    """The line of checkpoints that a configuration is of, as far as it says so."""
    for name, line in info.lines.items():
        if given.model_type in line.model_types:
            return name
    for name, line in info.lines.items():
        if given.processor_class in line.processor_classes:
            return name
    return None


def named_family(given: Given) -> str | None:
    """The family of the model, the processor or the image processor that is named.

    Raises:
        MMRawError: unknown_family (all that is named is of other models).
    """
    kind = type_of(given.processor)
    for family, info in FAMILIES.items():
        shared = info.configuration.shared_model_types
        if given.model_type in model_types_of(info) and given.model_type not in shared:
            return family
    for family, info in FAMILIES.items():
        if given.processor_class in classes_of(info):
            return family
    for family, info in FAMILIES.items():
        if kind in tuple(info.image_processor_types):
            return family
    named = (given.model_type, given.processor_class, kind)
    theirs = next((name for name in named if name is not None), None)
    if theirs is None:
        return None
    message = f"the configuration is of {shown(theirs)}, which is of no built-in family"
    raise MMRawError("unknown_family", message)


def as_of_family(document: Mapping[str, Any], family: str) -> dict[str, Any]:
    """An image processor's configuration, said to be of a family's processor if it names none.

    For callers that know the model: a class of image processors may serve several.
    """
    info = FAMILIES.get(family)
    named = type_of(document) is None or document.get("processor_class") is not None
    if info is None or named:
        return dict(document)
    return {**document, "processor_class": classes_of(info)[0]}


def shown(name: Any) -> str:
    """A name of a configuration, if it is one."""
    return name if isinstance(name, str) and _NAME.match(name) else "another model"
