"""`mmraw inspect`: a ref, an envelope, a features body or images by their URLs, explained."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any, cast

from ..families import get_adapter
from ..images import read_header
from ..stores.verify import verify_source
from ..wire._generated.dialects import DIALECTS, ITEMS
from ..wire._generated.schemas import DESCRIPTIONS
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.features import Features, parse_features
from ..wire.image_urls import ImageUrl
from ..wire.item import RawMMItem, parse_item
from ..wire.json import parse_json
from ..wire.ref import RawMMRef, is_ref, parse_ref
from .inputs import read_text
from .output import print_json, print_table, shorten, size_of
from .url_images import find_url_images, place_of

EXAMPLE = "mmraw inspect mmraw:v3:eyJmYW1pbHkiOi…"

Row = tuple[str, str, str]

_FEATURES = {"kwargs_data", "mm_hashes", "mm_placeholders"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("what", nargs="?", help="the text itself, a file, or - for standard input")


def run(args: argparse.Namespace) -> int:
    """Prints what the text says; a refusal is raised."""
    kind, value, rows = explain_text(read_text(args.what))
    if args.json:
        facts = {name: text for name, text, _ in rows}
        print_json({"kind": kind, "value": value, "facts": facts})
    else:
        print_table(("field", "value", "meaning"), rows, title=kind)
    return 0


def explain_text(text: str) -> tuple[str, Any, list[Row]]:
    """The kind of a document, its fields, and rows that explain it."""
    if is_ref(text):
        ref = parse_ref(text)
        return f"ref, dialect {ref.dialect}", ref.fields(), [*_ref_rows(ref), *_facts(ref, text)]
    document = parse_json(text)
    if isinstance(document, str):
        return explain_text(document)
    if isinstance(document, dict):
        keys = cast("dict[str, Any]", document)
        if "kind" in keys:
            item = parse_item(text)
            return f"envelope, dialect {item.dialect}", item.to_dict(), _item_rows(item)
        if keys.get("features") is not None and "kwargs_data" not in keys:
            text, document = json.dumps(keys["features"]), keys["features"]
    if not isinstance(document, dict) or not _FEATURES & document.keys():
        found = find_url_images(document)
        if found is None:
            message = "expected a ref, an envelope, a features body, content parts or mm_refs"
            raise MMRawError("invalid_type", message)
        return found.kind, found.value, _url_rows(found.images)
    features = parse_features(text)
    return "features body", features.to_dict(), _features_rows(features)


def _rows(schema: str, fields: dict[str, Any]) -> list[Row]:
    meanings = DESCRIPTIONS[schema]
    return [
        (
            name,
            shorten(value if isinstance(value, str) else json.dumps(value)),
            meanings[name].split(". ")[0].rstrip("."),
        )
        for name, value in fields.items()
    ]


def _ref_rows(ref: RawMMRef) -> list[Row]:
    return _rows(DIALECTS[ref.dialect].schema, ref.fields())


def _item_rows(item: RawMMItem) -> list[Row]:
    return _rows(ITEMS[item.dialect].schema, item.to_dict())


def _facts(ref: RawMMRef, text: str) -> list[Row]:
    """What follows from a ref: layout, and for inline images the header and the hash."""
    rows: list[Row] = [("(size)", size_of(len(text)), "the ref on the wire")]
    try:
        adapter = get_adapter(ref.family)
        grid = adapter.grid_thw(ref.payload)
        known = ref.fingerprint == adapter.fingerprint(ref.dialect)
        rows += [
            ("(grid)", "x".join(map(str, grid)), "patches: time x height x width"),
            ("(tokens)", str(adapter.num_tokens(ref.payload)), "tokens of the image in the model"),
            (
                "(layout parameters)",
                "published defaults" if known else "not the published defaults",
                "what the fingerprint stands for",
            ),
        ]
    except MMRawError as error:
        rows.append(("(family)", error.code, error.message))
    return rows + _inline_facts(ref)


def _inline_facts(ref: RawMMRef) -> list[Row]:
    if not ref.is_inline:
        return [("(source)", "stored", f"looked up in the run's store as {ref.stored_name}")]
    data = parse_data_uri(cast(str, ref.raw_uri)).data
    try:
        digest = verify_source(ref, data)
        verdict = ("(hash)", "matches", f"sha256 {digest}")
    except MMRawError as error:
        verdict = ("(hash)", error.code, error.message)
    try:
        header = read_header(data)
        size = f"{header.width}x{header.height} {header.format}, {size_of(len(data))}"
    except MMRawError as error:
        size = error.code
    return [("(source)", "inline", size), verdict]


def _url_rows(images: Sequence[ImageUrl]) -> list[Row]:
    rows = [
        (f"[{image.index}]", _text_of(image), f"{place_of(image)}; {shorten(_source_of(image))}")
        for image in images
    ]
    return rows or [("(none)", "", "no images")]


def _text_of(image: ImageUrl) -> str:
    return f"{image.url_kind} URL" if image.ref is None else _ref_text(image.ref)


def _source_of(image: ImageUrl) -> str:
    return shorten(image.url) if image.ref is None else _ref_source(image.ref)


def _ref_text(ref: RawMMRef) -> str:
    return f"{ref.dialect} {ref.family} {json.dumps(ref.fields().get('payload'))}"


def _ref_source(ref: RawMMRef) -> str:
    return "inline" if ref.is_inline else str(ref.stored_name)


def _features_rows(features: Features) -> list[Row]:
    rows: list[Row] = []
    for slot in features.slots():
        ref = slot.ref
        first, length = slot.placeholder.offset, slot.placeholder.length
        place = f"tokens {first} to {first + length - 1}"
        where = f"{slot.modality}[{slot.index}]"
        rows.append((where, _ref_text(ref), f"{place}; {shorten(_ref_source(ref))}"))
    return rows or [("(none)", "", "no images")]
