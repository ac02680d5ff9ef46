"""Layout parameters as they are published, and their fingerprints."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from .ir import Model
from .subset import Json

_PREFIXES = {"v1": "image-layout:v1:", "unversioned": "image-layout:"}


class Published(NamedTuple):
    """Layout parameters, and the lines of a family that are published with them."""

    family: str
    lines: list[str]
    parameters: Json
    fingerprint: str

    @property
    def listed(self) -> str:
        """The parameters as text."""
        return listed(self.parameters)


def listed(parameters: Json) -> str:
    """Layout parameters as text, sorted."""
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in sorted(parameters.items()))


def defaults(model: Model, family: str) -> Json:
    """The published defaults of a family, as the fingerprint has them."""
    fields = model.layout_of(family).fields
    return {part.name: part.default for part in fields if not part.omits_default}


def published(model: Model, family: str) -> list[Published]:
    """All published layout parameters of a family, lines with the same ones together."""
    rows: dict[str, Published] = {}
    for name, line in model.spec.families[family]["lines"].items():
        parameters: Json = {**defaults(model, family), **line["parameters"]}
        text = fingerprint_text("v1", family, parameters)
        row = Published(family, [], parameters, fingerprint(text))
        rows.setdefault(text, row).lines.append(name)
    return list(rows.values())


def fingerprint(text: str) -> str:
    """The first 32 hex digits of the sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fingerprint_text(scheme: str, family: str, parameters: Json) -> str:
    """The text that a scheme that names the parameters hashes."""
    values = sorted((name, json.dumps(value)) for name, value in parameters.items())
    pairs = (f"{name}={value.replace(' ', '')}" for name, value in values)
    return ":".join([f"{_PREFIXES[scheme]}{family}", *pairs])


def positional_text(family: str, parameters: Json, order: tuple[str, ...]) -> str:
    """The text that the positional scheme hashes: values alone, in an order of their own."""
    return ":".join([f"{_PREFIXES['v1']}{family}", *(json.dumps(parameters[n]) for n in order)])
