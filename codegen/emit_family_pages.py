"""Emits docs/reference/families/: a page for each built-in family, all of one form.

The drawing of a page is made by docs/drawings.py, from the layout of a picture.
"""

from __future__ import annotations

import json

from .emit_bundles import slug
from .emit_reference import cell, code, head, table
from .family_text import expansions, placeholder_length, prompt_tokens, refusals, vllm_span
from .ir import Model
from .published import (
    defaults,
    fingerprint,
    fingerprint_text,
    listed,
    positional_text,
    published,
)
from .subset import Json

_INTRO = """\
A family is a kind of image layout: from width and height to a grid, a payload and a number of
tokens. Each page shows the folder of its family in the specification.
"""
_LEGEND = """\
Thin lines are patches, thick lines are the cells of a token or the tiles, a grey border is
padding. A blue mark after a row is the token that ends it, a red mark that of the last row. A
picture next to the grid is the thumbnail.
"""


def emit(model: Model) -> dict[str, str]:
    """The generated pages, by file name."""
    pages = {f"{family}.md": _page(model, family) for family in model.spec.families}
    return {**pages, "index.md": _index(model)}


def _about(model: Model, family: str) -> str:
    variant = next(one for one in model.built_in if one.family == family)
    schema_id = model.definitions[variant.payload].schema_id
    return str(model.spec.schemas[schema_id].document["description"])


def _index(model: Model) -> str:
    rows: list[tuple[str, ...]] = []
    for family, info in model.spec.families.items():
        models = sorted({name for line in info["lines"].values() for name in line["model_types"]})
        page = f"[{cell(info['title'])}]({family}.md)"
        rows.append((page, code(family), ", ".join(info["lines"]), ", ".join(map(code, models))))
    columns = ("models", "family", "lines of checkpoints", "model_type")
    return (
        head(model, "Families", "families/*/family.json")
        + _INTRO
        + "\n"
        + table(columns, rows).rstrip()
        + "\n"
    )


def _page(model: Model, family: str) -> str:
    info = model.spec.families[family]
    parts = [
        head(model, f"{info['title']} (`{family}`)", "common/*", f"families/{family}/*"),
        _about(model, family) + "\n\n",
        _models(info),
        _grid(family, info),
        _prompt(family, info),
        _payload(model, family),
        _parameters(model, family),
        _published(model, family),
        _vllm(family, info),
    ]
    return "".join(parts).rstrip() + "\n"


def _models(info: Json) -> str:
    rows = [
        (name, _codes(line["model_types"]), _codes(line["processor_classes"]))
        for name, line in info["lines"].items()
    ]
    text = table(("line", "model_type", "processor"), rows)
    types = _codes(info["image_processor_types"])
    return f"## Models\n\n{text}Image processors of Transformers: {types}.\n\n"


def _codes(names: list[str] | Json) -> str:
    return ", ".join(map(code, names)) or "-"


def _grid(family: str, info: Json) -> str:
    fields = ", ".join(f"{code(name)} is {code(at)}" for name, at in info["grid"].items())
    return (
        f"## Grid\n\n![A picture under its grid, as {info['title']} lays it out]({family}.svg)\n\n"
        f"{_LEGEND}\nIn tables of layouts {fields} of the payload.\n\n"
        "## Arithmetic\n\nThe rules for all families, such as how to round, are in\n"
        f"[the protocol](../../../spec/README.md#layout).\n\n{_arithmetic(info)}\n"
    )


def _arithmetic(info: Json) -> str:
    """layout.md of the family's folder, without its heading."""
    return str(info["arithmetic"]).partition("\n\n")[2]


def _prompt(family: str, info: Json) -> str:
    parts = ["## In a prompt\n\n", prompt_tokens({family: info})]
    rows = [("feature modality", code(info["feature_modality"]))]
    rows.append(("placeholder_length", placeholder_length(info)))
    rows.append(("placeholder conventions", _codes(info["placeholder"]["conventions"])))
    parts.append(table(("name", "value"), rows))
    ids = {name: line["token_ids"] for name, line in info["lines"].items() if line["token_ids"]}
    if ids:
        shown = "".join(
            f"    {line}: {', '.join(f'{token} = {number}' for token, number in tokens.items())}\n"
            for line, tokens in ids.items()
        )
        parts.append(f"Published token ids, by line:\n\n{shown}\n")
    return "".join(parts)


def _payload(model: Model, family: str) -> str:
    variant = next(one for one in model.built_in if one.family == family)
    payload = model.definitions[variant.payload]
    rows = [
        (
            code(part.name),
            "required" if part.required else "optional",
            _said(part.title, part.description),
        )
        for part in payload.fields
    ]
    example = json.dumps(payload.examples[0], sort_keys=True) if payload.examples else "{}"
    link = f"[the rules of each field](../wire/{slug(payload.schema_id)}.md)"
    text = table(("field", "presence", "meaning"), rows)
    return f"## Payload\n\n```json\n{example}\n```\n\n{text}Closed; see {link}.\n\n"


def _said(title: str, description: str) -> str:
    return cell(f"{title}. {description}")


def _parameters(model: Model, family: str) -> str:
    layout = model.layout_of(family)
    types = model.spec.families[family]["image_processor_types"]
    rows = [
        (
            code(part.name),
            code(json.dumps(part.default)),
            cell(part.hint),
            _said(part.title, part.description),
            _codes(list(dict.fromkeys([part.name, *part.config_names]))),
        )
        for part in layout.fields
    ]
    columns = ("parameter", "default", "may be", "meaning", "in a configuration")
    own = [
        f"`{name}` has the defaults {listed(values)}.\n" for name, values in types.items() if values
    ]
    link = f"[the rules](../wire/{slug(layout.schema_id)}.md)"
    about = model.spec.schemas[layout.schema_id].document["description"]
    said = f"{about} See {link}.\n" + "".join(own)
    return f"## Layout parameters\n\n{table(columns, rows)}{said}\n"


def _published(model: Model, family: str) -> str:
    columns = ("published with", "layout parameters", "fingerprint (v1)")
    rows = [
        (", ".join(one.lines), one.listed, code(one.fingerprint))
        for one in published(model, family)
    ]
    parameters, order = defaults(model, family), model.layout_of(family).fingerprint_order
    texts = {
        scheme: fingerprint_text(scheme, family, parameters) for scheme in ("v1", "unversioned")
    }
    if order:
        texts["positional"] = positional_text(family, parameters, order)
    schemes = [(scheme, code(fingerprint(text)), code(text)) for scheme, text in texts.items()]
    shown = table(("scheme", "fingerprint of the defaults", "text that is hashed"), schemes)
    return f"## Fingerprints\n\n{table(columns, rows)}{shown}"


def _vllm(family: str, info: Json) -> str:
    rows = [
        ("served model_type", _codes(info["vllm"]["model_types"])),
        ("vLLM's span: offset, length", vllm_span(info)),
    ]
    parts = ["## vLLM and renderers\n\n", table(("name", "value"), rows)]
    parts.append(
        "What servers expand; SPAN is the placeholder's span, a dash what was not tried:\n\n"
    )
    parts.append(expansions({family: info}))
    refused = refusals(info)
    if refused:
        parts.append("Not expanded:\n\n" + "".join(f"- {line}\n" for line in refused) + "\n")
    shown = ", ".join(f"{name} ({code(kind)})" for name, kind in info["renderers"].items())
    parts.append(f"Renderers: {shown or 'none of the released ones'}.\n")
    return "".join(parts)
