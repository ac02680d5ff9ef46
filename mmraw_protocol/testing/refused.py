"""Strategies for what every reader rejects: valid documents with one fault."""

from __future__ import annotations

import json
from typing import Any, cast

from hypothesis import strategies as st

from ..wire._generated.dialects import (
    DEFAULT_DIALECT,
    DEFAULT_ITEM,
    DIALECTS,
    ITEMS,
    WireDialect,
)
from ..wire._generated.families import FAMILIES
from ..wire._generated.strategies import REQUIRED, SOURCES, WRONG
from ..wire.base64 import encode_base64url
from ..wire.json import canonical_json
from .accepted import Strategy, documents, features, refs

#: (what is done, field, value): take it away, or set it.
_Fault = tuple[str, str, Any]


def _faults(name: str) -> list[_Fault]:
    """Every single fault of a definition's fields."""
    faults: list[_Fault] = [("set", "field_of_nobody", 1)]
    faults += [("drop", field, None) for field in REQUIRED[name]]
    faults += [("set", field, value) for field, rows in WRONG[name].items() for value in rows]
    if name in SOURCES:
        faults.append(("drop sources", "", None))
    return faults


def _with_fault(document: dict[str, Any], fault: _Fault, name: str) -> dict[str, Any]:
    what, field, value = fault
    if what == "set":
        return {**document, field: value}
    gone = SOURCES[name] if what == "drop sources" else (field,)
    return {key: child for key, child in document.items() if key not in gone}


def refused_documents(name: str) -> Strategy:
    """Plain JSON for a definition of spec/ with one fault that every reader refuses.

    A field too few, too many, of another type, or of a value just beyond what is allowed.
    """
    faults = st.sampled_from(_faults(name))
    made = st.builds(_with_fault, documents(name), faults, st.just(name))
    if not {"family", "payload"} <= set(WRONG[name]):
        return made
    within = st.sampled_from(sorted(FAMILIES)).flatmap(_refused_payloads)
    return st.one_of(made, st.builds(_with_payload, documents(name), within))


def _refused_payloads(family: str) -> st.SearchStrategy[dict[str, Any]]:
    """A built-in family with a payload that it rejects; another family may accept it."""
    wrong = refused_documents(FAMILIES[family].payload.__name__)
    return st.fixed_dictionaries({"family": st.just(family), "payload": wrong})


def _with_payload(document: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {**document, **fields}


def refused_refs(dialect: str = DEFAULT_DIALECT) -> st.SearchStrategy[str]:
    """Near misses of a dialect that every reader refuses: one fault in a canonical ref."""
    wire = DIALECTS[dialect]
    texts = st.builds(_with_text_fault, refs(dialect), st.sampled_from(_TEXT_FAULTS))
    if wire.encoding == "segments":
        spots = st.tuples(st.integers(0, len(wire.segments) - 1), st.sampled_from(_SEGMENT_FAULTS))
        return st.one_of(texts, st.builds(_with_segment_fault, refs(dialect), spots))
    whole = refused_documents(wire.schema)
    # Without some field it may be a whole one of another dialect with the same prefix.
    signs = {
        name for other in DIALECTS.values() if _is_beside(other, wire) for name in other.without
    }
    whole = whole.filter(lambda fields: signs <= fields.keys())
    return st.one_of(texts, st.builds(_any_text, whole, st.just(wire)))


def _is_beside(other: WireDialect, wire: WireDialect) -> bool:
    return other != wire and (other.prefix, other.encoding) == (wire.prefix, wire.encoding)


def _any_text(fields: dict[str, Any], wire: WireDialect) -> str:
    text = canonical_json(fields)
    return wire.prefix + (text if wire.encoding == "json" else encode_base64url(text.encode()))


#: Edits of a whole ref: text before it, text after it, and a replacement.
_TEXT_FAULTS: tuple[tuple[str, str, str, str], ...] = (
    (" ", "", "", ""),
    ("\n", "", "", ""),
    ("", "", "mmraw:", "MMRAW:"),
    ("", "", "mmraw:", "mmraw::"),
    ("", "", "mmraw:", "mmraw"),
    ("", "\u00e9", "", ""),
    ("", "\x00", "", ""),
    ("", "=", "", ""),
    ("", ":", "", ""),
)
_SEGMENT_FAULTS = ("", " ", "a b", "\u00e9", "a:b", "../x", "%2e")


def _with_text_fault(text: str, fault: tuple[str, str, str, str]) -> str:
    before, behind, old, new = fault
    return before + text.replace(old, new, 1) + behind


def _with_segment_fault(text: str, spot: tuple[int, str]) -> str:
    parts = text.split(":")
    index, value = spot
    # The first two parts are the prefix.
    parts[index + 2] = value
    return ":".join(parts)


def refused_items(dialect: str = DEFAULT_ITEM) -> Strategy:
    """Envelopes that every reader refuses: one fault, or processed tensors in the payload."""
    name = ITEMS[dialect].schema
    tensors = st.sampled_from(["pixel_values", "image_embeds", "image_features"])
    return st.one_of(
        refused_documents(name),
        st.builds(_with_tensors, documents(name), tensors),
    )


def _with_tensors(item: dict[str, Any], key: str) -> dict[str, Any]:
    return {**item, "payload": {key: [1]}}


def refused_features(dialect: str = DEFAULT_DIALECT) -> Strategy:
    """Features bodies that every reader refuses: one fault in a body of at least one image."""
    bodies = features(dialect).filter(_has_images)
    return st.builds(_with_body_fault, bodies, st.sampled_from(_BODY_FAULTS))


def _has_images(body: dict[str, Any]) -> bool:
    return bool(body["mm_hashes"])


_BODY_FAULTS = (
    "drop kwargs_data",
    "drop mm_hashes",
    "drop mm_placeholders",
    "unknown field",
    "one list shorter",
    "one modality fewer",
    "another hash",
    "no ref",
    "an empty slot",
    "no length",
    "offset before the prompt",
    "overlap",
    "a float",
)


def _with_body_fault(body: dict[str, Any], fault: str) -> dict[str, Any]:
    body = cast("dict[str, Any]", json.loads(json.dumps(body)))
    modality = sorted(body["mm_hashes"])[0]
    entry = body["mm_placeholders"][modality][0]
    if fault.startswith("drop "):
        del body[fault.removeprefix("drop ")]
    elif fault == "unknown field":
        body["mm_metadata"] = {}
    elif fault == "one list shorter":
        body["mm_placeholders"][modality].pop()
    elif fault == "one modality fewer":
        del body["mm_hashes"][modality]
    elif fault == "another hash":
        body["mm_hashes"][modality][0] = "0" * 15 + "1"
        body["mm_hashes"][modality][0] += "f" * 112
    elif fault in ("no ref", "an empty slot"):
        body["kwargs_data"][modality][0] = None if fault == "an empty slot" else "aGVsbG8="
    elif fault == "overlap":
        for rows in body.values():
            rows[modality].insert(1, rows[modality][0])
    else:
        changes = {"no length": ("length", 0), "a float": ("length", 1.0)}
        name, value = changes.get(fault, ("offset", -1))
        entry[name] = value
    return body
