"""Fills the marked regions of spec/README.md with what the files of spec/ decide.

A region begins with `<!-- generated: NAME -->` and ends with `<!-- end -->`. The rest of the text
is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import wrap

from .canonical import string_of
from .emit_reference import table
from .family_text import expansions, placeholder_length, prompt_tokens, refusals, vllm_span
from .ir import Definition, Field, Model, Named, String, Tuple, Type
from .load import Json, SchemaError
from .published import defaults, fingerprint, fingerprint_text, positional_text, published

_REGION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
#: The last class of characters in a pattern, and how many of them it wants.
_CLASS = re.compile(r"\[([^\]]+)\](?:[+*]|\{(\d+),(\d+)\})")
_SIDES = ("t", "h", "w")
_NAMED_CLASSES = {"A-Za-z": "ALPHA", "0-9": "DIGIT"}


def fill(text: str, model: Model) -> str:
    """The prose with every region as spec/ has it now."""
    names = [match.group(2) for match in _REGION.finditer(text)]
    if sorted(names) != sorted(_REGIONS) or text.count("<!-- generated: ") != len(names):
        raise SchemaError(f"README.md: the regions are {', '.join(sorted(_REGIONS))}, once each")
    return _REGION.sub(lambda m: f"{m[1]}\n{_REGIONS[m[2]](model).rstrip()}\n\n{m[4]}", text)


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


def _lines(model: Model) -> str:
    rows: list[tuple[str, ...]] = []
    prompts: list[tuple[str, str]] = []
    for family, info in model.spec.families.items():
        for name, line in info["lines"].items():
            types = ", ".join(f"`{model_type}`" for model_type in line["model_types"])
            classes = ", ".join(f"`{kind}`" for kind in line["processor_classes"])
            rows.append((f"`{family}`", name, types, classes))
            prompts.append((name, _prompt(line["placeholder"], line["token_ids"])))
    width = max(len(name) for name, _ in prompts)
    # Not in the table, since a bar within a cell is written in several ways.
    shown = "In a prompt of each line, with the published ids of the tokens:\n\n"
    texts = "".join(f"    {name:<{width}}  {prompt}\n" for name, prompt in prompts)
    return table(("family", "line", "model_type", "processor class"), rows) + shown + texts


def _prompt(placeholder: Json, ids: Json) -> str:
    """The texts of an image in a prompt, n for the number of its tokens or of those in a row."""

    def text(role: str) -> str:
        given = placeholder[role]
        return f"{given} ({ids[given]})" if given in ids else str(given)

    span = f"n * {text('token')}"
    if placeholder["row_end"]:
        span = f"rows of {span} {text('row_end')}, the last with {text('end')} instead"
    return " ".join(part for part in (text("before"), span, text("after")) if part)


def _prompts(model: Model) -> str:
    families = model.spec.families
    rows: list[tuple[str, ...]] = [
        (f"`{family}`", placeholder_length(info), vllm_span(info))
        for family, info in families.items()
    ]
    columns = ("family", "placeholder_length", "vLLM's span: offset, length")
    shown = "The tokens of a prompt:\n\n" + prompt_tokens(families) + table(columns, rows)
    shown += "What vLLM expands; SPAN is the placeholder's span:\n\n" + expansions(families)
    refused = [
        f"- {family}, {line}\n" for family, info in families.items() for line in refusals(info)
    ]
    return shown + "Not expanded:\n\n" + "".join(refused)


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


def _modalities(model: Model) -> str:
    rows: Json = model.spec.modalities["unsupported"]
    media: Json = model.spec.modalities["media_parts"]
    shown = table(
        ("modality", "type, or key of a part without type", "media type"),
        [(name, _words(row["parts"]), f"`{row['media_type']}…`") for name, row in rows.items()],
    )
    types, within, names = (_words(media[name]) for name in ("types", "within", "names"))
    return (
        f"{shown}Types of parts that may be any medium: {types}. Media types stand under {names}, "
        f"in the part itself or below its {within}."
    )


def _messages(model: Model) -> str:
    document = model.spec.messages
    names = ("conversations", "contents", "columns", "layout_parameters")
    lists = [f"{name.upper()}: {_words(document[name])}" for name in names]
    lists += [
        f"{name.upper()}: {_words(['.'.join(at) for at in document[name]])}"
        for name in ("nested", "file_ids")
    ]
    lists += [f"COLUMN_TAG: `{document['column_tag']}`"]
    lists += [f"{name}: {_words(words)}" for name, words in document["looks"].items()]
    rows = [
        (
            one["spelling"],
            _words([kind or "-" for kind in one["types"]]),
            f"`{'.'.join(one['at'])}`",
            _words(one.get("having", [])) or "-",
            "file id" if one.get("file_id") else "base64" if one.get("encoded") else "any",
        )
        for one in document["places"]
    ]
    shown = table(("spelling", "types", "at", "having", "source"), rows)
    return shown + "\n".join(f"- {row}" for row in lists)


def _words(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# Layout parameters and their fingerprints


def _fingerprints(model: Model) -> str:
    rows: list[tuple[str, ...]] = []
    texts: list[str] = []
    for family in model.spec.families:
        parameters = defaults(model, family)
        order = model.layout_of(family).fingerprint_order
        rows.append(
            (
                family,
                fingerprint(fingerprint_text("v1", family, parameters)),
                fingerprint(fingerprint_text("unversioned", family, parameters)),
                fingerprint(positional_text(family, parameters, order)) if order else "-",
            )
        )
        texts.append(f"    {fingerprint_text('v1', family, parameters)}")
    shown = table(("family", "v1", "unversioned", "positional"), rows)
    return shown + "Those of scheme v1 are over:\n\n" + "\n".join(texts)


def _presets(model: Model) -> str:
    columns = ("family", "published with", "layout parameters", "fingerprint (v1)")
    rows = [
        (one.family, ", ".join(one.lines), one.listed, one.fingerprint)
        for family in model.spec.families
        for one in published(model, family)
    ]
    return table(columns, rows)


_REGIONS: dict[str, Callable[[Model], str]] = {
    "dialects": _dialects,
    "families": _families,
    "fingerprints": _fingerprints,
    "grammar": _grammar,
    "limits": _limits,
    "messages": _messages,
    "modalities": _modalities,
    "lines": _lines,
    "presets": _presets,
    "prompts": _prompts,
}
