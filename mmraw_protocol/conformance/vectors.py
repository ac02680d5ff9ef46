"""Reading spec/vectors/: one JSON object a line, recipes expanded."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from ..wire.base64 import encode_base64url
from ..wire.schemas import spec_folder

#: Keys of a vector, in their order.
KEYS = ("id", "op", "input", "result", "error", "spec", "note")


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One case; exactly one of `result` and `error` is there."""

    id: str
    op: str
    input: dict[str, Any]
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    spec: str
    note: str | None = None


def simplest_first(vector: Vector) -> tuple[int, str]:
    """A key to sort vectors by: the shorter an input, the easier it is to debug."""
    return len(json.dumps(vector.input)), vector.id


def vectors_folder() -> Path:
    """Returns the folder of the vectors; paths in their inputs are relative to it."""
    return spec_folder() / "vectors"


@contextmanager
def workspace(folder: Path | None = None) -> Generator[Path, None, None]:
    """A temporary copy of what the inputs name, without the vectors themselves.

    An implementation may write there, and finds no expected result beside its inputs.
    """
    source = folder or vectors_folder()
    with tempfile.TemporaryDirectory(prefix="mmraw-conformance-") as name:
        target = Path(name).resolve()
        for child in source.iterdir():
            if child.is_dir():
                shutil.copytree(child, target / child.name)
        yield target


def read_vectors(folder: Path | None = None) -> Iterator[Vector]:
    """Every vector, file by file in the order of their names."""
    for path in sorted((folder or vectors_folder()).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            # The standard reader keeps 1 and 1.0 apart, which matters in results.
            yield Vector(**json.loads(line))


def expand(given: dict[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """An input as it is sent: recipes become text, its relative paths absolute ones."""
    result = {name: _expand(child) for name, child in given.items()}
    for name in ("path", "directory"):
        text = result.get(name)
        if folder is not None and isinstance(text, str):
            result[name] = str(folder / text)
    return result


def _expand(value: Any) -> Any:
    if isinstance(value, list):
        return [_expand(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    if set(fields) == {"$gen"}:
        return _generate(fields["$gen"])
    return {name: _expand(child) for name, child in fields.items()}


def _generate(recipe: dict[str, Any]) -> str:
    if "concat" in recipe:
        return _concat(recipe["concat"])
    if "keys" in recipe:
        body = json.dumps({f"k{n}": 0 for n in range(recipe["keys"])}, separators=(",", ":"))
    else:
        body = _concat(recipe["base64url"])
    return recipe["prefix"] + encode_base64url(body.encode("utf-8"))


def _concat(parts: list[list[Any]]) -> str:
    return "".join(text * times for text, times in parts)


def same(left: Any, right: Any) -> bool:
    """True if two JSON values are equal, integers and floats distinguished."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
