"""Everything of this protocol that a JSON document holds, wherever it stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

import msgspec

from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.features import parse_features
from ..wire.item import KIND, parse_item
from ..wire.json import parse_json
from ..wire.ref import is_ref, parse_ref

__all__ = ["Finding", "check_document", "check_value"]

Kind = Literal["ref", "envelope", "features", "document", "file"]


class Finding(Shown, msgspec.Struct, frozen=True):
    """One thing that was checked: what it is, and why it was refused (None where it was not)."""

    kind: Kind
    error: MMRawError | None = None


def check_document(text: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Finding]:
    """Checks a text: a bare ref, or a JSON document with refs, envelopes and features in it."""
    bare = text.startswith(b"mmraw:") if isinstance(text, bytes) else text.startswith("mmraw:")
    failed: MMRawError | None = None
    document: Any = None
    try:
        if bare:
            document = text if isinstance(text, str) else text.decode("ascii", "replace")
        else:
            document = parse_json(text)
    except MMRawError as error:
        failed = error
    if failed is not None:
        yield Finding("document", failed)
        return
    yield from check_value(document, limits=limits)


#: Types of values that may be of this protocol, or hold some.
_KINDS = frozenset({dict, list, str})


def check_value(
    value: Any, *, limits: Limits = DEFAULT_LIMITS, path: str = "$"
) -> Iterator[Finding]:
    """Checks a decoded document, at any depth; strings that start with `mmraw:` are refs."""
    stack: list[tuple[Any, str]] = [(value, path)]
    while stack:
        item, place = stack.pop()
        if isinstance(item, str):
            if is_ref(item):
                yield _check("ref", item, place, limits)
        elif isinstance(item, list):
            rows = cast("list[Any]", item)
            # Long lists are of numbers alone.
            if _KINDS.isdisjoint(map(type, rows)):
                continue
            stack += [
                (row, f"{place}[{index}]")
                for index, row in reversed(list(enumerate(rows)))
                if isinstance(row, (str, list, dict))
            ]
        elif isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            kind = kind_of(fields)
            if kind is not None:
                yield _check(kind, fields, place, limits)
            else:
                # Keys are input and stay out of the path.
                below = f"{place}.*"
                stack += [
                    (child, below)
                    for child in reversed(list(fields.values()))
                    if isinstance(child, (str, list, dict))
                ]


def kind_of(fields: dict[str, Any]) -> Kind | None:
    """Whether an object is an envelope or a features body, by the keys that tell them."""
    if fields.get("kind") == KIND:
        return "envelope"
    if "kwargs_data" in fields and "mm_hashes" in fields:
        return "features"
    return None


def _check(kind: Kind, value: Any, path: str, limits: Limits) -> Finding:
    failed: MMRawError | None = None
    try:
        if kind == "ref":
            parse_ref(value, limits=limits)
        elif kind == "envelope":
            parse_item(value, limits=limits)
        else:
            parse_features(value, limits=limits)
    except MMRawError as error:
        failed = error
    return Finding(kind, None if failed is None else failed.at(path))
