"""Checks the vectors: `python -m mmraw_protocol.conformance.lint`; `--sort` sorts them first."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from ..wire.errors import ERRORS
from .operations import OPERATIONS
from .vectors import KEYS, vectors_folder

_ID = re.compile(r"[a-z_]+/[\x21-\x7e]+")
_MOST_BYTES = 1_000_000
_RECIPES = ({"concat"}, {"prefix", "base64url"}, {"prefix", "keys"})


def lint(folder: Path | None = None) -> Iterator[str]:
    """Every fault of the vectors in `folder`, as `file:line: what is wrong`."""
    root = folder or vectors_folder()
    sections = set(re.findall(r"^## (.+)$", (root.parent / "README.md").read_text("utf-8"), re.M))
    places: dict[str, str] = {}
    files = sorted(root.glob("*.jsonl"))
    if not files:
        yield f"{root.name}: no vectors"
    for file in files:
        before = ""
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            place = f"{file.name}:{number}"
            vector = _read(line)
            if vector is None:
                yield f"{place}: not a line of compact JSON without keys that occur twice"
                continue
            for fault in _faults(vector, sections, root):
                yield f"{place}: {fault}"
            name = str(vector.get("id"))
            if name in places:
                yield f"{place}: the id stands at {places[name]} already"
            if name < before:
                yield f"{place}: not sorted by id (--sort does it)"
            places[name], before = place, name
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            yield f"{path.relative_to(root).as_posix()}: larger than {_MOST_BYTES} bytes"


def _read(line: str) -> dict[str, Any] | None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        value: Any = json.loads(line, object_pairs_hook=once)
    except ValueError:
        return None
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    ascii_too = json.dumps(value, separators=(",", ":"))
    ok = isinstance(value, dict) and line in (compact, ascii_too)
    return cast("dict[str, Any]", value) if ok else None


def _faults(vector: dict[str, Any], sections: set[str], root: Path) -> Iterator[str]:
    names = list(vector)
    if names != [name for name in KEYS if name in vector]:
        yield "keys must be " + ", ".join(KEYS) + ", in this order"
    if not isinstance(vector.get("id"), str) or not _ID.fullmatch(vector["id"]):
        yield "id must be <origin>/<name>, printable ASCII without blanks"
    if vector.get("op") not in OPERATIONS:
        yield "op must be an operation of the protocol"
    if vector.get("spec") not in sections:
        yield "spec must be a section of spec/README.md"
    if not isinstance(vector.get("note", ""), str) or vector.get("note") == "":
        yield "note must be a text"
    yield from _verdict_faults(vector)
    given = vector.get("input")
    if not isinstance(given, dict):
        yield "input must be an object"
        return
    yield from _recipe_faults(given)
    path = cast("dict[str, Any]", given).get("path")
    if isinstance(path, str) and not (root / path).is_file():
        yield "path names no file of this folder"


def _verdict_faults(vector: dict[str, Any]) -> Iterator[str]:
    if ("result" in vector) == ("error" in vector):
        yield "exactly one of result and error must be there"
    elif "result" in vector and not isinstance(vector["result"], dict):
        yield "result must be an object"
    elif "error" in vector and not _is_error(vector["error"]):
        yield 'error must be {"code": …} with a code of errors.json, and may have a path'


def _is_error(error: Any) -> bool:
    if not isinstance(error, dict):
        return False
    fields = cast("dict[str, Any]", error)
    path = fields.get("path", "$")
    known = fields.get("code") in ERRORS and not set(fields) - {"code", "path"}
    return known and isinstance(path, str) and path.startswith("$")


def _recipe_faults(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for child in cast("list[Any]", value):
            yield from _recipe_faults(child)
    elif isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if "$gen" in fields and (len(fields) > 1 or set(fields["$gen"]) not in _RECIPES):
            yield "a recipe is $gen alone, with concat, prefix and base64url, or prefix and keys"
        for child in fields.values():
            yield from _recipe_faults(child)


def sort(folder: Path | None = None) -> None:
    """Sorts the lines of every file by id."""
    for file in sorted((folder or vectors_folder()).glob("*.jsonl")):
        lines = file.read_text("utf-8").splitlines()
        lines.sort(key=lambda line: str(json.loads(line)["id"]))
        file.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def main(argv: Sequence[str]) -> int:
    """Prints every fault; 1 where there is one."""
    if "--sort" in argv:
        sort()
    faults = list(lint())
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
