"""Fills the marked regions of pages with what the files of spec/ decide.

A region begins with `<!-- generated: NAME -->` and ends with `<!-- end -->`. The rest of the text
is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import wrap

from .canonical import string_of
from .emit_reference import table
from .ir import Definition, Field, Model, Named, String, Tuple, Type
from .subset import Json, SchemaError

_REGION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
#: The last class of characters in a pattern, and how many of them it wants.
_CLASS = re.compile(r"\[([^\]]+)\](?:[+*]|\{(\d+),(\d+)\})")
_SIDES = ("t", "h", "w")
_NAMED_CLASSES = {"A-Za-z": "ALPHA", "0-9": "DIGIT"}


def emit(model: Model, root: Path) -> dict[str, str]:
    """Each page with every region as spec/ has it now, by its path below `root`."""
    texts = {page: (root / page).read_text(encoding="utf-8") for page in _PAGES}
    return {page: _filled(page, text, model) for page, text in texts.items()}


def _filled(page: str, text: str, model: Model) -> str:
    regions = _PAGES[page]
    names = [match.group(2) for match in _REGION.finditer(text)]
    if sorted(names) != sorted(regions) or text.count("<!-- generated: ") != len(names):
        raise SchemaError(f"{page}: the regions are {', '.join(sorted(regions))}, once each")
    return _REGION.sub(lambda m: f"{m[1]}\n{regions[m[2]](model).rstrip()}\n\n{m[4]}", text)


# The grammar of refs


def _grammar(model: Model) -> str:
    refs = model.refs[::-1]
    strings: dict[str, str] = {}
    for item in refs:
        for name in (item.wire or {}).get("segments", []):
            text = string_of(model, _field(item, name).type)
            if text is not None:
                strings[_rule_name(item, name)] = _terminal(text)
    digits = len(str(model.spec.limits["grid_patches"]["default"]))
    rules = {
        "ref": " / ".join(_dialect(item) for item in refs),
        **{_dialect(item): _body(item) for item in refs},
        "b64u-json": '1*( ALPHA / DIGIT / "-" / "_" )   ; canonical base64url of a JSON object',
        **strings,
        "hex": "DIGIT / " + " / ".join(f'%s"{letter}"' for letter in "abcdef"),
        "side": f"%x31-39 *{digits - 1}DIGIT",
    }
    lines = [f"    {name:<16} = {rule}\n" for name, rule in rules.items()]
    # One group for each: all dialects, each of them, what they are made of.
    return "\n".join(
        ["".join(part) for part in (lines[:1], lines[1 : len(refs) + 1], lines[len(refs) + 1 :])]
    )


def _dialect(item: Definition) -> str:
    return str((item.wire or {})["dialect"])


def _field(item: Definition, name: str) -> Field:
    return next(part for part in item.fields if part.name == name)


def _rule_name(item: Definition, name: str) -> str:
    part = _field(item, name)
    if part.attribute == "payload":
        return "b64u-json" if name == "payload" else 'side %s"x" side %s"x" side'
    if isinstance(part.type, Named):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", part.type.name).lower()
    return name.replace("_", "-")


def _body(item: Definition) -> str:
    wire: Json = item.wire or {}
    prefix = f'%s"{wire["prefix"]}"'
    if wire["encoding"] == "segments":
        names = ' ":" '.join(_rule_name(item, name) for name in wire["segments"])
        lines = [
            *wrap(f"{prefix} {names}", 78, break_on_hyphens=False),
            "; " + ", ".join(wire["segments"]),
        ]
        return f"\n{'':23}".join(lines)
    body = "json-object" if wire["encoding"] == "json" else "b64u-json"
    return f"{prefix + ' ' + body:<24} ; object of {item.schema_id}"


def _terminal(text: String) -> str:
    found = _CLASS.findall(text.pattern or "")
    if not found:
        raise SchemaError(f"README.md: no class of characters in the pattern {text.pattern}")
    characters, least, most = found[-1]
    bounds = f"{least or 1}*{most or text.max_length}"
    rule = f"{bounds}hex" if characters == "a-f0-9" else f"{bounds}( {_characters(characters)} )"
    if text.strip is not None:
        note = f"; at most {text.max_length} with its {text.strip}, see Fields"
        return f'[ %s"{text.strip}" ] {rule}\n{"":23}{note}'
    return f"{rule} ; see Fields" if "(?" in str(text.pattern) else rule


def _characters(text: str) -> str:
    names: list[str] = []
    for characters, name in _NAMED_CLASSES.items():
        if characters in text:
            names.append(name)
            text = text.replace(characters, "")
    if re.search(r".-.", text):
        raise SchemaError(f"README.md: the grammar has no name for a range in [{text}]")
    return " / ".join([*names, *(f'"{character}"' for character in text)])


# Tables


def _dialects(model: Model) -> str:
    rows = [
        (_dialect(item), "yes", _written(item), _source(model, item)) for item in model.refs[::-1]
    ]
    return table(("dialect", "read", "written", "source of the image"), rows)


def _written(item: Definition) -> str:
    if item.is_default:
        return "by default"
    return "yes" if (item.wire or {})["write"] else "by conversion"


def _source(model: Model, item: Definition) -> str:
    sources = [part for part in item.fields if part.attribute in ("raw_image_id", "raw_uri")]
    kinds = {"data_url": ", a data: URL", "file_label": ", a file: URL"}
    texts = [string_of(model, part.type) for part in sources]
    names = [
        part.name + kinds.get((text and text.syntax) or "", "")
        for part, text in zip(sources, texts, strict=True)
    ]
    said = ", ".join(names) + (" or both" if item.at_least_one else "")
    family = (item.wire or {}).get("family")
    return said if family is None else f"{said}; the family is {family}"


def _families(model: Model) -> str:
    rows: list[tuple[str, ...]] = []
    for variant in model.built_in:
        family = str(variant.family)
        info = model.spec.families[family]
        payload = model.definitions[variant.payload]
        about = model.spec.schemas[payload.schema_id].document["description"]
        rows.append(
            (
                f"`{family}`",
                f"`{_shape(model, payload)}`",
                f"`{info['feature_modality']}`",
                ", ".join(info["placeholder"]["conventions"]) or "-",
                about,
            )
        )
    columns = ("family", "payload", "feature modality", "conventions", "models")
    return table(columns, rows)


def _shape(model: Model, payload: Definition) -> str:
    shown = ", ".join(f'"{part.name}": {_value(model, part.type)}' for part in payload.fields)
    return f"{{{shown}}}"


def _value(model: Model, item: Type | None) -> str:
    """The shape of a payload's value: n for a number, the names of its sides for a grid's row."""
    if isinstance(item, Named):
        return _value(model, model.definitions[item.name].type)
    if not isinstance(item, Tuple):
        return "n"
    parts = [_value(model, part) for part in item.items]
    is_row = set(parts) == {"n"} and len(parts) <= len(_SIDES)
    return f"[{', '.join(_SIDES[-len(parts) :] if is_row else parts)}]"


def _limits(model: Model) -> str:
    rows = [
        (f"`{name}`", _amount(info), info["description"])
        for name, info in model.spec.limits.items()
    ]
    return table(("limit", "default", "what it bounds"), rows)


def _amount(info: Json) -> str:
    return f"{info['default']:,} {'to 1' if info['unit'] == 'ratio' else info['unit']}"


def _models(model: Model) -> str:
    rows: list[tuple[str, ...]] = [
        (
            f"[{info['title']}](docs/reference/families/{name}.md)",
            f"`{name}`",
            ", ".join(info["lines"]),
        )
        for name, info in model.spec.families.items()
    ]
    return table(("models", "family", "lines of checkpoints"), rows)


def _titles(model: Model) -> str:
    titles = [info["title"] for info in model.spec.families.values()]
    return f"Built-in families: {', '.join(titles[:-1])} and {titles[-1]}.\n"


#: The regions of each page.
_PAGES: dict[str, dict[str, Callable[[Model], str]]] = {
    "README.md": {"models": _models},
    "docs/index.md": {"titles": _titles},
    "spec/README.md": {
        "dialects": _dialects,
        "families": _families,
        "grammar": _grammar,
        "limits": _limits,
    },
}
