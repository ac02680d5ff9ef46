"""Layout parameters and their fingerprints, told to people."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import asdict

from ..families import Adapter
from ..families.fingerprint_search import FoundLayout, find_layout
from ..families.published import published_layouts
from ..wire._generated.dialects import DIALECTS

Row = tuple[str, str, str]


def parameters_of(adapter: Adapter) -> dict[str, Any]:
    """The layout parameters of a configuration; empty where its family keeps them to itself."""
    config: Any = getattr(adapter, "config", None)
    return {} if config is None else asdict(config)


def told_fingerprint(
    family: str, fingerprint: str | None, dialect: str, near: Adapter | None = None
) -> str:
    """Says in one sentence what a ref's fingerprint stands for.

    Args:
        family: The ref's.
        fingerprint: The ref's; None of a dialect without.
        dialect: The ref's, whose scheme it should be of.
        near: The configuration at hand; the search is longer with it.
    """
    if fingerprint is None:
        return "this dialect names no fingerprint"
    found = published_layouts().get((family, fingerprint))
    scheme = DIALECTS[dialect].fingerprint_scheme
    if near is not None:
        layout = find_layout(fingerprint, family=family, near=near)
        if layout is not None:
            return told_layout(layout, scheme, near)
        return "of no layout that is known; another number of parameters differs"
    if found is not None:
        layout = FoundLayout(family, found.lines, found.scheme, {}, {})
        return told_layout(layout, scheme)
    return f"no published layout; mmraw fingerprint {fingerprint} --family {family} searches more"


def told_layout(layout: FoundLayout, scheme: str | None = None, near: Adapter | None = None) -> str:
    """A layout that was found, in one sentence."""
    parts: list[str] = []
    if near is not None:
        own = parameters_of(near)
        rows = [(name, value) for name, value in layout.values.items() if own.get(name) != value]
        told = [f"{n} (ref {_shown(v)}, configuration {_shown(own.get(n))})" for n, v in rows]
        parts.append(f"differs in {', '.join(told)}" if told else "that of the configuration")
    if layout.lines:
        parts.append(f"that of the {' / '.join(layout.lines)} line{_with(layout, near)}")
    if scheme is None:
        parts.append(f"scheme {layout.scheme}")
    elif scheme != layout.scheme:
        parts.append(f"scheme {layout.scheme}, where the ref's dialect has scheme {scheme}")
    return "; ".join(parts)


def _with(layout: FoundLayout, near: Adapter | None) -> str:
    if not layout.changed or near is not None:
        return ""
    return " with " + ", ".join(f"{n} {_shown(v)}" for n, v in sorted(layout.changed.items()))


def parameter_rows(layout: FoundLayout) -> list[Row]:
    """Every layout parameter, and what differs from the published ones."""
    return [
        (name, _shown(value), "changed" if name in layout.changed else "as published")
        for name, value in sorted(layout.values.items())
    ]


def _shown(value: Any) -> str:
    return json.dumps(value)
