"""Emits the spellings of images in messages for both languages, from spec/messages.json."""

from __future__ import annotations

from typing import Any

from .ir import Model
from .python_text import header as python_header
from .python_text import literal as python_literal
from .subset import Json, SchemaError
from .typescript_text import comment, header, literal

_TITLE = "Spellings of images in messages: where a part holds its image, and what looks like one."
_SOURCE = "messages.json"
#: Keys of a place, with what an absent one means.
PLACE: Json = {
    "spelling": "",
    "types": [],
    "at": [],
    "having": [],
    "media_type": [],
    "encoded": False,
    "file_id": False,
    "url": {},
    "data": {},
    "ref": {},
}
_TEXTS = {
    "CONVERSATIONS": "Keys of a row for its conversation.",
    "ANSWERS": "Keys of a row for messages outside of its conversation.",
    "MEDIA_COLUMNS": "Keys of a row or message of videos or audio, and which of them.",
    "REF_COLUMNS": "Keys of a row for the images of a request, in forms of this protocol.",
    "CONTENTS": "Keys of a message for its parts.",
    "COLUMNS": "Keys of a row or message for images outside of the text.",
    "COLUMN_TAG": "The text that marks the position of an image of such a column.",
    "NESTED": "Paths at which a part has further parts.",
    "FILE_IDS": "Paths at which a part of any medium names a file by an id.",
    "LAYOUT_PARAMETERS": "Keys of a part, message or row for the layout of its images alone.",
    "SPELLINGS": "The names of spellings.",
}
_LOOKS = {
    "words": "Words within types and keys of what looks like an image.",
    "kinds": "The ends of keys that say what a value is, in lower case.",
    "media_types": "The beginnings of images' media types.",
    "heads": "The beginnings of URLs and refs of images, in lower case.",
    "signatures": "The beginnings of images: patterns over the hexadecimal digits of their bytes.",
    "byte_signatures": "The same, where bytes are given and no text of them.",
    "suffixes": "The ends of names of image files, in lower case.",
    "spoken": "Keys of what is said or done: only whole images are looked for below them.",
}


def _places(model: Model) -> list[Json]:
    document = model.spec.messages
    rows: list[Json] = document["places"]
    if any(
        row["spelling"] not in document["spellings"] or row.keys() - PLACE.keys() for row in rows
    ):
        raise SchemaError("messages.json: a key or spelling of a place is unknown")
    return [{**PLACE, **row} for row in rows]


def _tables(model: Model) -> list[tuple[str, str, Any]]:
    document = model.spec.messages
    rows = [(name, text, document[name.lower()]) for name, text in _TEXTS.items()]
    looks = [(f"LOOKS_{k}".upper(), text, document["looks"][k]) for k, text in _LOOKS.items()]
    return rows + looks


def emit(model: Model) -> dict[str, str]:
    """The generated module of Python, by file name."""
    out = [python_header(model, _TITLE, _SOURCE), "from typing import Any\n"]
    rows = "\n".join(f"    {python_literal(row)}," for row in _places(model))
    out.append(
        f"#: The places of an image in a part, in the order in which they are tried.\n"
        f"PLACES: tuple[dict[str, Any], ...] = (\n{rows}\n)\n"
    )
    for name, text, value in _tables(model):
        out.append(f"#: {text}\n{name} = {python_literal(value)}\n")
    return {"messages.py": "\n".join(out)}


_INTERFACE = """\
/** A place of a part where an image may be. */
export interface Place {
  readonly spelling: string;
  readonly types: readonly string[];
  readonly at: readonly string[];
  readonly having: readonly string[];
  readonly media_type: readonly string[];
  readonly encoded: boolean;
  readonly file_id: boolean;
  readonly url: Template;
  readonly data: Template;
  readonly ref: Template;
}

/** The value written in place of a source: null removes the key. */
export interface Template {
  readonly [key: string]: string | null | Template;
}
"""


def typescript(model: Model) -> str:
    """The generated module of TypeScript."""
    rows = "\n".join(f"  {literal(row)}," for row in _places(model))
    out = [header(model, _TITLE, _SOURCE), _INTERFACE]
    text = comment("The places of an image in a part, in the order in which they are tried.")
    out.append(f"{text}export const PLACES: readonly Place[] = [\n{rows}\n];\n")
    for name, text, value in _tables(model):
        kind = "string"
        if isinstance(value, list):
            inner = {"MEDIA_COLUMNS": "readonly [string, string]"} | dict.fromkeys(
                ("NESTED", "FILE_IDS"), "readonly string[]"
            )
            kind = f"readonly ({inner[name]})[]" if name in inner else "readonly string[]"
        out.append(f"{comment(text)}export const {name}: {kind} = {literal(value)};\n")
    return "\n".join(out)
