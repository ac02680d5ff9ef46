"""Reads spec/ and refuses every keyword that the generator does not understand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .annotations import EXTENSIONS, faults

Json = dict[str, Any]

SPEC = Path(__file__).resolve().parent.parent / "spec"

#: Keywords by the JSON type that they belong to. Any other is an error with its path.
ANNOTATIONS = frozenset({"title", "description", "examples", "default"})
ALLOWED: dict[str, frozenset[str]] = {
    "string": frozenset({"type", "pattern", "minLength", "maxLength", "enum"}),
    "integer": frozenset({"type", "minimum", "maximum", "multipleOf", "enum"}),
    "number": frozenset({"type"}),
    "boolean": frozenset({"type"}),
    "null": frozenset({"type"}),
    "array": frozenset({"type", "items", "prefixItems", "minItems", "maxItems"}),
    "object": frozenset(
        {"type", "properties", "required", "additionalProperties", "allOf", "anyOf"}
    ),
    # Any JSON value without keys of processed tensors; code checks it, the schema is for others.
    "opaque": frozenset({"type", "items", "propertyNames", "additionalProperties"}),
    "$ref": frozenset({"$ref"}),
    "const": frozenset({"const"}),
    "oneOf": frozenset({"oneOf", "type"}),
    "not": frozenset({"not"}),
}
ROOT = frozenset({"$schema", "$id", "$comment", "$defs", "$ref", "title", "description"})

#: The schema that is generated from the folders of families/.
LISTING = "families/families.schema.json"
#: The folder of the schemas that are generated from all others.
BUNDLED = "bundled/"
FAMILY_KEYS = frozenset(
    {
        "answers",
        "configuration",
        "default",
        "family",
        "feature_modality",
        "grid",
        "image_processor_types",
        "lines",
        "placeholder",
        "renderers",
        "required",
        "sglang",
        "tensors",
        "title",
        "vllm",
    }
)
#: Keys that a family.json may omit, with the value that they then have.
_PLACEHOLDER: Json = {"conventions": [], "row_end": "", "end": ""}
_EXPANSION: Json = {"before": "", "after": "", "refused": {}, "item": {}, "parameters": {}}
#: Of an engine whose expansion of the family was not tried, the target is empty.
_ENGINES: dict[str, Json] = {
    "vllm": _EXPANSION,
    "sglang": {"target": "", "model_types": [], **_EXPANSION},
}
_LINE: Json = {"parameters": {}, "placeholder": {}, "token_ids": {}}
_TENSORS: Json = {"call": {}, "outputs": {}, "token_types": "", "positions": ""}
_OUTPUT: Json = {"output": "", "shape": [], "values": [], "returned": True, "padded": False}
#: Keys of modalities.json on a modality that is rejected, and on how it recognizes media.
_REFUSED_KEYS = {"parts", "media_type", "remedy"}
_MEDIA_KEYS = {"types", "within", "names"}
_CONFIGURATION: Json = {
    "whole": [],
    # The forms that Transformers takes at all, for a processor that makes no use of `size`.
    "sizes": [
        ["height", "width"],
        ["longest_edge"],
        ["longest_edge", "shortest_edge"],
        ["max_height", "max_width"],
        ["max_pixels", "min_pixels"],
        ["shortest_edge"],
    ],
    "square": False,
    "null": {},
    "fixed": {},
    "agreeing": False,
    "shared_model_types": [],
}


class SchemaError(Exception):
    """A schema uses something outside the closed subset; the message names the place."""


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

    def sha256(self, *paths: str) -> str:
        """One digest over the source files below spec/ that `paths` begin with; all by default."""
        chosen = [
            f"{path} {digest}\n"
            for path, digest in sorted(self.digests.items())
            if not paths or path.startswith(paths)
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


def kind_of(node: Json, place: str) -> str:
    """Returns the form of the subset that a schema node has."""
    if node.get("x-mmraw-opaque"):
        return "opaque"
    for keyword in ("$ref", "const", "oneOf", "not"):
        if keyword in node:
            return keyword
    kind = node.get("type")
    if not isinstance(kind, str) or kind not in ALLOWED:
        raise SchemaError(f"{place}: no type that the generator knows")
    return kind


def check_node(node: Any, place: str) -> None:
    """Refuses keywords outside the subset, anywhere below `node`."""
    if not isinstance(node, dict):
        raise SchemaError(f"{place}: expected an object")
    schema = cast(Json, node)
    kind = kind_of(schema, place)
    extra = set(schema) - ALLOWED[kind] - ANNOTATIONS - EXTENSIONS
    if extra:
        raise SchemaError(f"{place}: keyword not in the subset: {', '.join(sorted(extra))}")
    if kind == "object":
        _check_object(schema, place)
    elif kind == "array":
        _check_array(schema, place)
    elif kind == "oneOf":
        _check_one_of(schema, place)


def _check_object(node: Json, place: str) -> None:
    for name, field in node.get("properties", {}).items():
        check_node(field, f"{place}/properties/{name}")
    extra = node.get("additionalProperties")
    if isinstance(extra, dict):
        check_node(extra, f"{place}/additionalProperties")
    elif "properties" in node and extra is not False:
        raise SchemaError(f"{place}: an object with properties must be closed")
    unknown = set(node.get("required", [])) - set(node.get("properties", {}))
    if unknown:
        raise SchemaError(f"{place}/required: not a property: {', '.join(sorted(unknown))}")
    for index, part in enumerate(node.get("allOf", [])):
        if set(part) != {"$ref"}:
            raise SchemaError(f"{place}/allOf/{index}: only $ref is understood")
    for index, part in enumerate(node.get("anyOf", [])):
        required = part.get("required", [])
        wanted = {"required": required, "properties": {n: {"type": "string"} for n in required}}
        if part != wanted or len(required) != 1:
            raise SchemaError(f"{place}/anyOf/{index}: only 'one of these fields' is understood")


def _check_array(node: Json, place: str) -> None:
    if "prefixItems" in node:
        for index, item in enumerate(node["prefixItems"]):
            check_node(item, f"{place}/prefixItems/{index}")
        if node.get("items") is not False or node.get("minItems") != len(node["prefixItems"]):
            raise SchemaError(f"{place}: prefixItems needs items: false and minItems of its length")
    else:
        check_node(node.get("items"), f"{place}/items")


def _check_one_of(node: Json, place: str) -> None:
    if "x-mmraw-tag" in node:
        if node.get("type") != "object":
            raise SchemaError(f"{place}: variants need the type object, for strict validators")
        for index, part in enumerate(node["oneOf"]):
            if set(part) != {"properties"}:
                raise SchemaError(f"{place}/oneOf/{index}: a variant has properties alone")
            for name, field in part["properties"].items():
                check_node(field, f"{place}/oneOf/{index}/properties/{name}")
        return
    if "type" in node or len(node["oneOf"]) != 2 or node["oneOf"][1] != {"type": "null"}:
        raise SchemaError(f"{place}/oneOf: only a value or null is understood")
    check_node(node["oneOf"][0], f"{place}/oneOf/0")


def _check_limits(schema: Schema, limits: Json) -> None:
    """Refuses a bound that differs from the default of the limit that it states."""

    def visit(node: Any, place: str) -> None:
        if isinstance(node, list):
            for index, item in enumerate(cast("list[Any]", node)):
                visit(item, f"{place}/{index}")
        elif isinstance(node, dict):
            found = cast(Json, node)
            name = found.get("x-mmraw-limit")
            if name is not None:
                _check_bound(found, limits, name, place)
            for key, item in found.items():
                visit(item, f"{place}/{key}")

    visit(schema.document, schema.path)


def _check_bound(node: Json, limits: Json, name: str, place: str) -> None:
    if name not in limits:
        raise SchemaError(f"{place}: no such limit: {name}")
    keyword = "maxLength" if node.get("type") == "string" else "maximum"
    if node.get(keyword) != limits[name]["default"]:
        wanted = limits[name]["default"]
        raise SchemaError(f"{place}: {keyword} must be {wanted}, the default of the limit {name}")


def load_schema(path: Path, root: Path) -> Schema:
    """One schema file, checked against the meta-schema and the subset."""
    data = path.read_bytes()
    return _schema(cast(Json, json.loads(data)), data, path.relative_to(root).as_posix())


def _schema(document: Json, data: bytes, place: str) -> Schema:
    for fault in faults(document):
        raise SchemaError(f"{place}{fault}")
    extra = set(document) - ROOT
    if extra:
        raise SchemaError(f"{place}: keyword not in the subset: {', '.join(sorted(extra))}")
    if not str(document.get("$id", "")).startswith("urn:mmraw:"):
        raise SchemaError(f"{place}: $id must be a urn:mmraw: name")
    for name in ("title", "description"):
        if name not in document:
            raise SchemaError(f"{place}: a schema has a {name}, which its pages show")
    for name, node in document.get("$defs", {}).items():
        check_node(node, f"{place}#/$defs/{name}")
    return Schema(document["$id"], document, hashlib.sha256(data).hexdigest(), place)


def load_families(root: Path) -> dict[str, Json]:
    """Reads family.json of every folder of families/, by the family's name."""
    families: dict[str, Json] = {}
    for folder in sorted(path for path in (root / "families").iterdir() if path.is_dir()):
        document = cast(Json, json.loads((folder / "family.json").read_bytes()))
        place = f"families/{folder.name}/family.json"
        if document.keys() != FAMILY_KEYS:
            raise SchemaError(f"{place}: the keys are {', '.join(sorted(FAMILY_KEYS))}")
        unknown = document["configuration"].keys() - _CONFIGURATION.keys()
        if unknown:
            raise SchemaError(f"{place}: configuration has no {', '.join(sorted(unknown))}")
        if document["family"] != folder.name:
            raise SchemaError(f"{place}: family must be the folder's name")
        layout = folder / "layout.md"
        if not layout.exists():
            raise SchemaError(f"families/{folder.name}: no layout.md with its arithmetic")
        families[folder.name] = {**_filled(document), "arithmetic": layout.read_text("utf-8")}
    return families


def _filled(document: Json) -> Json:
    """Fills in what a family.json omits; a line has a whole placeholder of its own."""
    placeholder = {**_PLACEHOLDER, **document["placeholder"]}
    lines = {name: {**_LINE, **line} for name, line in document["lines"].items()}
    for line in lines.values():
        line["placeholder"] = {**placeholder, **line["placeholder"]}
    engines = {name: {**usual, **document[name]} for name, usual in _ENGINES.items()}
    tensors = {**_TENSORS, **document["tensors"]}
    tensors["outputs"] = {
        name: {**_OUTPUT, "output": name, **given} for name, given in tensors["outputs"].items()
    }
    if tensors.keys() != _TENSORS.keys() or tensors["positions"] not in ("", "grid"):
        raise SchemaError(f"{document['family']}: tensors has {', '.join(sorted(_TENSORS))}")
    if any(given.keys() != _OUTPUT.keys() for given in tensors["outputs"].values()):
        raise SchemaError(f"{document['family']}: an output has {', '.join(sorted(_OUTPUT))}")
    said = {"placeholder": placeholder, "tensors": tensors, "lines": lines, **engines}
    said["configuration"] = {**_CONFIGURATION, **document["configuration"]}
    return {**document, **said}


#: Keys of errors.json for each code.
_OF_AN_ERROR = {"cause", "example", "http_status", "meaning", "remedy", "since"}


def load_spec(root: Path = SPEC) -> Spec:
    """All schemas, families, errors and limits below `root`, in the order of their paths."""
    schemas: dict[str, Schema] = {}
    digests: dict[str, str] = {}
    families = load_families(root)
    for path in sorted(root.rglob("*.schema.json"), key=lambda p: p.relative_to(root).as_posix()):
        place = path.relative_to(root).as_posix()
        if place.startswith((BUNDLED, LISTING)):
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
    for family in families:
        name = f"families/{family}/family.json"
        digests[name] = _digest(root / name)
    text = listing(schemas, list(families))
    listed = _schema(cast(Json, json.loads(text)), text.encode(), LISTING)
    schemas[listed.id] = listed
    limits = tables[1]["limits"]
    for schema in schemas.values():
        _check_limits(schema, limits)
    _check_modalities(tables[2])
    errors, _, modalities, messages = tables
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
