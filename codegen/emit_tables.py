"""Emits wire/_generated/: dialects, families, error codes, limits and the paths of the schemas."""

from __future__ import annotations

from typing import Any

from .canonical import string_of
from .emit_bundles import paths, slug
from .emit_types import struct_name
from .ir import Const, Definition, Field, Model, Named, Nullable, String
from .python_text import SCHEMAS, header, literal, snake, wrapped


def emit(model: Model) -> dict[str, str]:
    """The generated modules, by file name."""
    return {
        "__init__.py": '"""Generated from spec/ by `python -m codegen`; do not edit."""\n',
        "dialects.py": _dialects(model),
        "errors.py": _errors(model),
        "limits.py": _limits(model),
        "schemas.py": _schemas(model),
    }


_DIALECT_CLASSES = '''from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any, NamedTuple

from msgspec import UNSET, Struct
from msgspec.json import Decoder, Encoder

from ..base64 import decode_url
from ..check import Check
from . import checks, types
from .families import FAMILIES
from .limits import Limits
from .types import ItemDialect as ItemDialect
from .types import RefDialect as Dialect


encode = Encoder().encode


class WireDialect(NamedTuple):
    """One dialect of refs.

    Attributes:
        dialect: Its name.
        schema: The name of its definition.
        prefix: How its text begins.
        encoding: What follows: `segments`, `base64url-json` or `json`.
        segments: The fields in their order, where the encoding is `segments`.
        without: Fields whose absence is the sign of this dialect among those of its prefix.
        family: The family, where the text names none.
        write: Whether `format_ref` writes it; the others are written by conversion alone.
        fingerprint_scheme: `v1`, `unversioned`, `positional`, or `none`.
        fields: Each wire name with its name in the model.
        required: The wire names that must be there.
        uri: The wire name of raw_uri and its syntax (`raw_uri`, `data_url` or `file_label`); None
            where the dialect carries none.
        check: The check of a decoded document.
        strips: What a reader strips at the beginning of a field, by the name in the model.
        shared: Strings that the refs of a run share, by their names in the model.
        fits: Whether a text is the canonical one of a value that keeps every rule.
        read: The model of a canonical text of a built-in family, where texts name one; for JSON
            dialects of the JSON.
    """

    dialect: Dialect
    schema: str
    prefix: str
    encoding: str
    segments: tuple[str, ...]
    without: tuple[str, ...]
    family: str | None
    write: bool
    fingerprint_scheme: str
    fields: tuple[tuple[str, str], ...]
    required: frozenset[str]
    uri: tuple[str, str] | None
    check: Check
    strips: tuple[tuple[str, str], ...]
    shared: tuple[str, ...]
    fits: Callable[[Any, str, Any, Limits], bool] | None
    read: Callable[[Any, Any, Limits], Any] | None

    @property
    def attributes(self) -> frozenset[str]:
        """The fields that the dialect can carry, by the names of the model."""
        return frozenset(attribute for _, attribute in self.fields)


class ItemWire(NamedTuple):
    """One dialect of envelopes.

    Attributes:
        dialect, schema, fields, required, check: As in `WireDialect`.
        without: Fields whose absence is its sign among those without a version.
        constants: The fields that have one value.
        flags: The optional fields that have one value, with their names in the model.
    """

    dialect: ItemDialect
    schema: str
    without: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, str | int], ...]
    flags: tuple[tuple[str, str, str | int], ...]
    required: frozenset[str]
    check: Check


class CanonicalItem(NamedTuple):
    """The reading of envelopes of the dialect that is written.

    Attributes:
        structs: The struct of each built-in family.
        union: All of them.
        make: The model of a struct.
        fits: As in `WireDialect`.
    """

    structs: dict[str, type[Struct]]
    union: Any
    make: Callable[[Any, Any], Any]
    fits: Callable[[Any, str, Any, Limits], bool]
'''


def _dialects(model: Model) -> str:
    out = [
        header(
            model,
            "The wire form of each dialect.",
            "common/*",
            "families/*/payload.schema.json",
            "item/*",
            "ref/*",
        )
    ]
    out.append(_DIALECT_CLASSES)
    canonical = [item for item in model.refs if item.is_canonical]
    out += [_json_reader(model, item) for item in canonical if _is_json(item)]
    out += [_segments_reader(item) for item in canonical if not _is_json(item)]
    rows = "".join(_dialect(model, item) for item in model.refs)
    out.append(f"DIALECTS: dict[str, WireDialect] = {{\n{rows}}}\n")
    default = next(item.dialect for item in model.refs if item.is_default)
    written = [item.dialect for item in model.refs if (item.wire or {})["write"]]
    written.sort(key=lambda name: (name != default, name))
    out.append(
        f"#: The dialect of `format_ref` by default.\nDEFAULT_DIALECT: Dialect = {default!r}\n"
    )
    out.append(
        "#: The dialects that `format_ref` writes, the default first.\n"
        f"WRITABLE: tuple[Dialect, ...] = {literal(written)}\n"
    )
    rows = "".join(_item(model, item) for item in model.items)
    out.append(f"ITEMS: dict[str, ItemWire] = {{\n{rows}}}\n")
    default = next(item for item in model.items if item.is_default)
    said = "#: The envelopes that are written.\n"
    out.append(f"{said}DEFAULT_ITEM: ItemDialect = {default.dialect!r}\n")
    out += [_item_maker(default), _canonical_item(model, default)]
    return "\n\n".join(out)


def _is_json(item: Definition) -> bool:
    return item.by_family and (item.wire or {})["encoding"] != "segments"


def _is_shared(model: Model, part: Field) -> bool:
    text = string_of(model, part.type)
    return text is not None and text.shared and part.required


def _given(part: Field) -> str:
    """The value of a struct's field, None where it is absent."""
    value = f"value.{part.attribute}"
    if part.is_flag:
        return f"{value} is not UNSET"
    if not part.required and not isinstance(part.type, Nullable):
        return f"None if {value} is UNSET else {value}"
    return value


def _json_reader(model: Model, item: Definition) -> str:
    name = snake(item.name)
    arguments = ""
    for part in item.fields:
        value = f"intern({_given(part)})" if _is_shared(model, part) else _given(part)
        if part.name != "family":
            arguments += f"        {part.attribute}={value},\n"
    return (
        f"_{name} = Decoder(types.{item.name}).decode\n\n\n"
        f"def read_{name}(data: bytes, make: Any, limits: Limits) -> Any:\n"
        f'    """`make` of the fields of canonical JSON; None means undecided, not invalid.\n\n'
        "    Raises:\n        MsgspecError, ValueError, RecursionError: It is not that of a "
        'built-in family.\n    """\n'
        f"    value = _{name}(data)\n    family = value.__struct_config__.tag\n"
        f"    ref = make(\n        dialect={item.dialect!r},\n        family=family,\n"
        f"{arguments}    )\n"
        f"    return ref if checks.fits_{name}(data, family, ref, limits) else None\n"
    )


def _segments_reader(item: Definition) -> str:
    name = snake(item.name)
    wire: dict[str, Any] = item.wire or {}
    names = {part.name: part.attribute for part in item.fields}
    arguments = "".join(
        f"        {names[part]}={part},\n" for part in wire["segments"] if part != "payload"
    )
    return (
        f"def read_{name}(text: str, make: Any, limits: Limits) -> Any:\n"
        f'    """`make` of the fields of a canonical text; None means undecided, not invalid.\n\n'
        "    Raises:\n        MsgspecError, ValueError, KeyError, RecursionError: It is not of "
        'a built-in family.\n    """\n'
        f'    _, _, {", ".join(wire["segments"])} = text.split(":")\n'
        "    data = decode_url(payload)\n"
        "    if data is None or len(data) > limits.payload_bytes:\n        return None\n"
        "    value = make(\n"
        f"        dialect={wire['dialect']!r},\n{arguments}"
        "        payload=FAMILIES[family].read_payload(data),\n    )\n"
        "    # The pattern leaves the payload's text open: a value has one canonical text.\n"
        "    if encode(value.payload) != data:\n        return None\n"
        f"    return value if checks.fits_{name}(text, family, value, limits) else None\n"
    )


def _item_maker(item: Definition) -> str:
    rows = "".join(
        f"        {part.attribute}={_given(part)},\n"
        for part in item.fields
        if part.name != "family" and not (isinstance(part.type, Const) and part.required)
    )
    return (
        f"def make_{snake(item.name)}(make: Any, value: Any) -> Any:\n"
        f'    """`make` of the fields of a struct of {item.title[0].lower()}{item.title[1:]}."""\n'
        f"    return make(\n        dialect={item.dialect!r},\n"
        f"        family=value.__struct_config__.tag,\n{rows}    )\n"
    )


def _uri(model: Model, item: Definition) -> tuple[str, str] | None:
    for part in item.fields:
        kind = part.type.inner if isinstance(part.type, Nullable) else part.type
        target = model.definitions[kind.name].type if isinstance(kind, Named) else kind
        if isinstance(target, String) and target.syntax is not None:
            return part.name, target.syntax
    return None


def _strips(model: Model, item: Definition) -> tuple[tuple[str, str], ...]:
    found = [(part.attribute, string_of(model, part.type)) for part in item.fields]
    return tuple((name, text.strip) for name, text in found if text is not None and text.strip)


def _dialect(model: Model, item: Definition) -> str:
    wire: dict[str, Any] = item.wire or {}
    name = snake(item.name)
    fields = tuple((part.name, part.attribute) for part in item.fields)
    required = sorted(part.name for part in item.fields if part.required)
    return (
        f"    {wire['dialect']!r}: WireDialect(\n"
        f"        dialect={wire['dialect']!r},\n"
        f"        schema={item.name!r},\n        prefix={wire['prefix']!r},\n"
        f"        encoding={wire['encoding']!r},\n"
        f"        segments={literal(wire.get('segments', []))},\n"
        f"        without={literal(wire.get('without', []))},\n"
        f"        family={wire.get('family')!r},\n        write={wire['write']!r},\n"
        f"        fingerprint_scheme={wire['fingerprint_scheme']!r},\n"
        f"        fields={fields!r},\n        required=frozenset({required!r}),\n"
        f"        uri={_uri(model, item)!r},\n        check=checks.check_{name},\n"
        f"        strips={_strips(model, item)!r},\n"
        f"        shared={tuple(p.attribute for p in item.fields if _is_shared(model, p))!r},\n"
        f"        fits={f'checks.fits_{name}' if item.is_canonical else None},\n"
        f"        read={f'read_{name}' if item.is_canonical else None},\n    ),\n"
    )


def _item(model: Model, item: Definition) -> str:
    name = snake(item.name)
    carried = [part for part in item.fields if not isinstance(part.type, Const)]
    fields = tuple((part.name, part.attribute) for part in carried)
    constants = tuple(
        (part.name, part.type.value)
        for part in item.fields
        if isinstance(part.type, Const) and part.required
    )
    flags = tuple(
        (part.name, part.attribute, part.type.value)
        for part in item.fields
        if part.is_flag and isinstance(part.type, Const)
    )
    required = sorted(part.name for part in item.fields if part.required)
    return (
        f"    {item.dialect!r}: ItemWire(\n        dialect={item.dialect!r},\n"
        f"        schema={item.name!r},\n        without={item.without!r},\n"
        f"        fields={fields!r},\n"
        f"        constants={constants!r},\n        flags={flags!r},\n"
        f"        required=frozenset({required!r}),\n        check=checks.check_{name},\n    ),\n"
    )


def _canonical_item(model: Model, item: Definition) -> str:
    name = snake(item.name)
    structs = "".join(
        f"        {v.family!r}: types.{struct_name(item, v)},\n" for v in model.built_in
    )
    return (
        f"CANONICAL_ITEM = CanonicalItem(\n    structs={{\n{structs}    }},\n"
        f"    union=types.{item.name},\n    make=make_{name},\n    fits=checks.fits_{name},\n)\n"
    )


def _errors(model: Model) -> str:
    out = [header(model, "Every error code, from errors.json.", "errors.json")]
    out.append("from __future__ import annotations\n\nfrom typing import Literal, NamedTuple\n")
    out.append(
        "class ErrorInfo(NamedTuple):\n"
        '    """One code: what it means, why it comes, what to do."""\n\n'
        "    code: str\n    meaning: str\n    http_status: int\n    cause: str\n    remedy: str\n"
        "    since: str\n"
        "    #: Other remedies, by words that the message of the error has.\n"
        "    cases: dict[str, str]\n"
    )
    names = "".join(f"    {code!r},\n" for code in model.spec.errors)
    out.append(f"ErrorCode = Literal[\n{names}]\n")
    rows = "".join(
        f"    {code!r}: ErrorInfo(\n        {code!r},\n        {info['meaning']!r},\n"
        f"        {info['http_status']},\n        {info['cause']!r},\n"
        f"        {info['remedy']!r},\n        {info['since']!r},\n"
        f"        {info.get('cases', {})!r},\n    ),\n"
        for code, info in model.spec.errors.items()
    )
    out.append(f"ERRORS: dict[str, ErrorInfo] = {{\n{rows}}}\n")
    return "\n\n".join(out)


def _limits(model: Model) -> str:
    out = [header(model, "Every limit and its default, from limits.json.", "limits.json")]
    out.append("from __future__ import annotations\n\nfrom msgspec import Struct\n")
    rows = "".join(
        "".join(
            f"{line}\n"
            for line in wrapped(f"#: {info['description']} Unit: {info['unit']}.", "    ")
            .replace("\n    ", "\n    #: ")
            .split("\n")
        )
        + f"    {name}: int = {info['default']}\n"
        for name, info in model.spec.limits.items()
    )
    out.append(
        "class Limits(Struct, frozen=True, kw_only=True):\n"
        '    """The most that a reader accepts (urn:mmraw:limits:v1); '
        'every limit can be set."""\n\n'
        f"{rows}"
    )
    out.append("DEFAULT_LIMITS = Limits()\n")
    return "\n\n".join(out)


def _schemas(model: Model) -> str:
    rows = "".join(f"    {s.id!r}: {s.path!r},\n" for s in model.spec.schemas.values())
    bundles = "".join(f"    {slug(s)!r}: {path!r},\n" for s, path in paths(model.spec).items())
    hints = "".join(
        f"    {item.name!r}: {{\n"
        + "".join(f"        {part.name!r}: {part.description!r},\n" for part in item.fields)
        + "    },\n"
        for item in model.ordered
        if item.is_object
    )
    return "\n\n".join(
        [
            header(model, "The file of each schema, and the meaning of each field.", SCHEMAS),
            "from __future__ import annotations\n",
            f"#: Path below spec/ of every schema.\nSCHEMAS: dict[str, str] = {{\n{rows}}}\n",
            "#: Path below spec/ of every schema of whole documents with all that it refers to.",
            f"BUNDLES: dict[str, str] = {{\n{bundles}}}\n",
            "#: definition -> field -> what it means, for people.",
            f"DESCRIPTIONS: dict[str, dict[str, str]] = {{\n{hints}}}\n",
        ]
    )
