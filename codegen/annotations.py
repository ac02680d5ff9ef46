"""Reads spec/meta/: the annotations of schemas and the values that they take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

META = Path(__file__).resolve().parent.parent / "spec" / "meta"

_DOCUMENTS: list[dict[str, Any]] = [
    json.loads((META / name).read_bytes()) for name in ("annotations.json", "schema.json")
]
# The types of both packages are partly unknown to a strict type checker.
_EMPTY: Any = Registry
_REGISTRY = _EMPTY().with_contents([(document["$id"], document) for document in _DOCUMENTS])
_VALIDATOR: Any = Draft202012Validator({"$ref": _DOCUMENTS[1]["$id"]}, registry=_REGISTRY)

#: The keywords of this contract in addition to those of JSON Schema.
EXTENSIONS = frozenset(_DOCUMENTS[0]["properties"])


def faults(schema: Any) -> Iterator[str]:
    """Yields where `schema` breaks the meta-schema: a JSON pointer and what is wrong there."""
    for error in _VALIDATOR.iter_errors(schema):
        yield f"#/{'/'.join(str(key) for key in error.absolute_path)}: {error.message}"
