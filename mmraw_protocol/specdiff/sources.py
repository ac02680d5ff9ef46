"""Reading a spec/ for comparison: a folder, or a git revision."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any, cast

import msgspec

from ..wire.errors import MMRawError

Json = dict[str, Any]

_TABLES = ("errors.json", "limits.json", "modalities.json")
#: Generated from the other schemas, which are compared.
BUNDLED = "bundled/"
#: Bodies and lines around documents: JSON Schema beyond the subset that the generator reads.
MESSAGES = "messages/"


class Spec(msgspec.Struct, frozen=True):
    """The parts compared: schemas by `$id` with absolute refs, error codes, limits, modalities.

    Modalities are empty where a spec is older than their table.
    """

    schemas: dict[str, Json]
    errors: Json
    limits: Json
    modalities: Json


def read_spec(name: str, folder: str = "spec") -> Spec:
    """The spec/ that `name` names: a folder, or a revision of the git repository here.

    Args:
        name: A folder that holds *.schema.json, errors.json and limits.json; else a revision.
        folder: The path of spec/ in the repository.

    Raises:
        MMRawError: source_unavailable, invalid_json, invalid_value.
    """
    files = _from_folder(Path(name)) if Path(name).is_dir() else _from_git(name, folder)
    return spec_of({path: _json(data, path) for path, data in files.items()})


def spec_of(documents: dict[str, Json]) -> Spec:
    """A spec of parsed files, by their paths below spec/.

    Raises:
        MMRawError: invalid_value, where a schema has no `$id` or a table is missing.
    """
    schemas: dict[str, Json] = {}
    for path, document in sorted(documents.items()):
        if is_schema(path):
            schema_id = document.get("$id")
            if not isinstance(schema_id, str) or schema_id in schemas:
                message = "expected an $id of its own in each schema, got none or one twice"
                raise MMRawError("invalid_value", message)
            schemas[schema_id] = cast(Json, _absolute(document, schema_id))
    tables = [documents.get(f"{name}.json", {}).get(name) for name in ("errors", "limits")]
    if not schemas or any(not isinstance(table, dict) for table in tables):
        message = "expected schemas, errors.json and limits.json; got a spec without one of them"
        raise MMRawError("invalid_value", message)
    modalities = documents.get("modalities.json", {})
    return Spec(schemas, cast(Json, tables[0]), cast(Json, tables[1]), modalities)


def _absolute(node: Any, schema_id: str) -> Any:
    """`node` with every local $ref under the name that it has everywhere."""
    if isinstance(node, list):
        return [_absolute(child, schema_id) for child in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast(Json, node)
    result = {name: _absolute(child, schema_id) for name, child in fields.items()}
    ref = result.get("$ref")
    if isinstance(ref, str) and ref.startswith("#"):
        result["$ref"] = schema_id + ref
    return result


def _json(data: bytes, path: str) -> Json:
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        message = "expected a JSON object in each file of the spec, got another value"
        raise MMRawError("invalid_json", message)
    return cast(Json, value)


def is_schema(path: str) -> bool:
    """True if a file of spec/ is a schema of its own, not one generated from others."""
    suffix = ".json" if path.startswith(MESSAGES) else ".schema.json"
    return path.endswith(suffix) and not path.startswith(BUNDLED)


def _is_part(path: str) -> bool:
    return is_schema(path) or path in _TABLES


def _from_folder(root: Path) -> dict[str, bytes]:
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*.json")}
    return {name: path.read_bytes() for name, path in paths.items() if _is_part(name)}


def _from_git(revision: str, folder: str) -> dict[str, bytes]:
    top = _git("rev-parse", "--show-toplevel").decode().strip()
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    archive = _git("-C", top, "archive", "--format=tar", commit.decode().strip(), "--", folder)
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = member.name.removeprefix(f"{folder}/")
            data = tar.extractfile(member) if member.isfile() and _is_part(path) else None
            if data is not None:
                files[path] = data.read()
    return files


def _git(*args: str) -> bytes:
    try:
        return subprocess.run(["git", *args], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pass
    message = "expected a folder, or a git revision with a spec/; got neither"
    raise MMRawError("source_unavailable", message)
