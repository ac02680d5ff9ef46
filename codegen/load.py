"""Reads spec/: schemas, families, errors, limits, modalities and the rules of messages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from .annotations import faults
from .family_files import load_families
from .subset import Json, SchemaError, check_names, check_node

SPEC = Path(__file__).resolve().parent.parent / "spec"

#: Keywords of a whole schema file.
ROOT = frozenset({"$schema", "$id", "$comment", "$defs", "$ref", "title", "description"})
#: The schema that is generated from the folders of families/.
LISTING = "families/families.schema.json"
#: The folder of the schemas that are generated from all others.
BUNDLED = "bundled/"
#: Keys of modalities.json on a modality that is rejected, and on how it recognizes media.
_REFUSED_KEYS = {"parts", "media_type", "remedy"}
_MEDIA_KEYS = {"types", "within", "names"}


@dataclass(frozen=True)
class Schema:
    """One schema file: its `$id`, its document, its sha256, and its path below spec/."""

    id: str
    document: Json
    sha256: str
    path: str


@dataclass(frozen=True)
class Spec:
    """Everything below spec/ that code is made from."""

    schemas: dict[str, Schema]
    errors: Json
    limits: Json
    modalities: Json
    messages: Json
    message_rules: str
    families: dict[str, Json]
    digests: dict[str, str]

    def sha256(self, *sources: str) -> str:
        """One digest over source files below spec/; all by default.

        Args:
            sources: Paths, in which `*` stands for any characters.
        """
        chosen = [
            f"{path} {digest}\n"
            for path, digest in sorted(self.digests.items())
            if not sources or any(fnmatchcase(path, source) for source in sources)
        ]
        return hashlib.sha256("".join(chosen).encode()).hexdigest()

    def definition(self, ref: str, base: str) -> tuple[str, Json]:
        """The definition that `ref` names, seen from the schema `base`, and its full name."""
        head, _, fragment = ref.partition("#")
        schema_id = head or base
        if schema_id not in self.schemas:
            raise SchemaError(f"{base}: $ref to an unknown schema: {ref}")
        node: Any = self.schemas[schema_id].document
        if not fragment.startswith("/$defs/"):
            raise SchemaError(f"{base}: $ref must point into $defs: {ref}")
        name = fragment.removeprefix("/$defs/")
        if name not in node.get("$defs", {}):
            raise SchemaError(f"{base}: $ref to an unknown definition: {ref}")
        return f"{schema_id}#{fragment}", node["$defs"][name]


def load_schema(path: Path, root: Path) -> Schema:
    """One schema file, checked against the meta-schema and the subset."""
    data = path.read_bytes()
    return _schema(cast(Json, json.loads(data)), data, path.relative_to(root).as_posix())


def _schema(document: Json, data: bytes, path: str) -> Schema:
    for fault in faults(document):
        raise SchemaError(f"{path}{fault}")
    extra = set(document) - ROOT
    if extra:
        raise SchemaError(f"{path}: keyword not in the subset: {', '.join(sorted(extra))}")
    if not str(document.get("$id", "")).startswith("urn:mmraw:"):
        raise SchemaError(f"{path}: $id must be a urn:mmraw: name")
    for name in ("title", "description"):
        if name not in document:
            raise SchemaError(f"{path}: a schema has a {name}, which its pages show")
    for name, node in document.get("$defs", {}).items():
        check_node(node, f"{path}#/$defs/{name}")
    return Schema(document["$id"], document, hashlib.sha256(data).hexdigest(), path)


#: Keys of errors.json for each code.
_OF_AN_ERROR = {"cause", "example", "http_status", "meaning", "remedy", "since"}


def load_spec(root: Path = SPEC) -> Spec:
    """All schemas, families, errors and limits below `root`, in the order of their paths."""
    schemas: dict[str, Schema] = {}
    digests: dict[str, str] = {}
    families = load_families(root)
    for path in sorted(root.rglob("*.schema.json"), key=lambda p: p.relative_to(root).as_posix()):
        if path.relative_to(root).as_posix().startswith((BUNDLED, LISTING)):
            continue
        schema = load_schema(path, root)
        if schema.id in schemas:
            raise SchemaError(f"{schema.path}: $id is taken: {schema.id}")
        schemas[schema.id] = schema
        digests[schema.path] = schema.sha256
    tables: list[Json] = []
    for name in ("errors.json", "limits.json", "modalities.json", "messages.json"):
        tables.append(cast(Json, json.loads((root / name).read_bytes())))
        digests[name] = _digest(root / name)
    others = [
        f"families/{family}/{file}" for family in families for file in ("family.json", "layout.md")
    ]
    for name in (*others, "messages.md"):
        digests[name] = _digest(root / name)
    text = listing(schemas, list(families))
    listed = _schema(cast(Json, json.loads(text)), text.encode(), LISTING)
    schemas[listed.id] = listed
    errors, bounds, modalities, messages = tables
    limits = bounds["limits"]
    for schema in schemas.values():
        check_names(schema.document, f"{schema.path}#", limits, errors["errors"])
    _check_modalities(modalities)
    for code, info in errors["errors"].items():
        missing = _OF_AN_ERROR - info.keys()
        if missing:
            raise SchemaError(f"errors.json: {code} has no {', '.join(sorted(missing))}")
    rules = (root / "messages.md").read_text("utf-8")
    return Spec(schemas, errors["errors"], limits, modalities, messages, rules, families, digests)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_modalities(document: Json) -> None:
    rows = cast("list[Json]", [*document["unsupported"].values()])
    if document["media_parts"].keys() != _MEDIA_KEYS or any(
        r.keys() != _REFUSED_KEYS for r in rows
    ):
        raise SchemaError("modalities.json: a key is missing or unknown")
    words = [word for row in rows for word in row["parts"]]
    if len(words) != len(set(words)):
        raise SchemaError("modalities.json: a word of parts occurs twice")


def listing(schemas: dict[str, Schema], families: list[str]) -> str:
    """The schema that decides the payload by the family: one variant for each folder."""
    variants: list[Json] = []
    for family in families:
        schema = schemas.get(f"urn:mmraw:payload:{family}")
        if schema is None:
            raise SchemaError(f"families/{family}: no payload schema urn:mmraw:payload:{family}")
        payload = schema.document["$ref"].rpartition("/")[2]
        reference = f"{schema.id}#/$defs/{payload}"
        variants.append(
            {"properties": {"family": {"const": family}, "payload": {"$ref": reference}}}
        )
    other = "urn:mmraw:common:v1#/$defs/OpaquePayload"
    variants.append(
        {"properties": {"family": {"not": {"enum": families}}, "payload": {"$ref": other}}}
    )
    by_family = {
        "title": "Payload by family",
        "description": "Exactly one applies: a built-in family with its payload, or any other "
        "family with an opaque one.",
        "type": "object",
        "oneOf": variants,
        "x-mmraw-tag": "family",
    }
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mmraw:payload:families",
        "$comment": "Generated by `python -m codegen` from the folders of families/; do not edit.",
        "title": "Payload by family",
        "description": "Refs and envelopes carry `family` and `payload` side by side; the family "
        "decides the payload. A family that is not built in keeps any JSON object.",
        "$defs": {"ByFamily": by_family},
    }
    return json.dumps(document, indent=2) + "\n"
