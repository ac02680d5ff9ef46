"""Emits the modalities of both languages, from spec/modalities.json and the families."""

from __future__ import annotations

from typing import Any, cast

from .ir import Model
from .python_text import header as python_header
from .python_text import literal as python_literal
from .subset import Json
from .typescript_text import comment, header, literal

_TITLE = "Modalities: those that paths name, and how those that are refused are recognized."
_SOURCES = ("families/*/family.json", "modalities.json")


def _tables(model: Model) -> list[tuple[str, str, Any]]:
    """Name, comment and value of each table."""
    media: Json = model.spec.modalities["media_parts"]
    rows: Json = model.spec.modalities["unsupported"]
    remedies = {modality: row["remedy"] for modality, row in rows.items()}
    return [
        ("MODALITIES", "Other keys of maps are input and stay out of paths.", model.modalities),
        ("UNSUPPORTED", "The advice for each modality that is rejected.", remedies),
        (
            "PARTS",
            "The modality of a part by its type, or by a key where it has none.",
            {word: modality for modality, row in rows.items() for word in row["parts"]},
        ),
        (
            "MEDIA_TYPES",
            "The modality of media by the start of their type.",
            {row["media_type"]: modality for modality, row in rows.items()},
        ),
        ("MEDIA_PARTS", "Types of parts that may be any medium.", media["types"]),
        ("MEDIA_WITHIN", "The places of the media type in such a part.", media["within"]),
        ("MEDIA_NAMES", "The names that a media type has there.", media["names"]),
    ]


def emit(model: Model) -> dict[str, str]:
    """The generated module of Python, by file name."""
    out = [python_header(model, _TITLE, *_SOURCES)]
    for name, text, value in _tables(model):
        out.append(f"#: {text}\n{name} = {python_literal(value)}\n")
    return {"modalities.py": "\n".join(out)}


def typescript(model: Model) -> str:
    """The generated module of TypeScript."""
    out = [header(model, _TITLE, *_SOURCES)]
    for name, text, value in _tables(model):
        kind, made = "readonly string[]", literal(value)
        if isinstance(value, dict):
            kind = "ReadonlyMap<string, string>"
            made = f"new Map({literal([*cast(Json, value).items()])})"
        out.append(f"{comment(text)}export const {name}: {kind} = {made};\n")
    return "\n".join(out)
