"""Readers of canonical texts: what they accept is right, in every dialect that has one.

They decide on one pattern and a few conditions, all of them generated. Each change below breaks one
rule, or none; the strict reader says which.
"""

import json
from typing import Any, cast

import msgspec
import pytest
import samples

from mmraw_protocol import (
    DEFAULT_LIMITS,
    MMRawError,
    RawMMItem,
    RawMMRef,
    format_ref,
    parse_item,
    parse_ref,
)
from mmraw_protocol.testing import ref_text
from mmraw_protocol.wire._generated.dialects import CANONICAL_ITEM, DEFAULT_ITEM, DIALECTS, ITEMS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.json import canonical_json
from mmraw_protocol.wire.ref_read import parse_strictly

READ_AT_ONCE = [dialect for dialect, wire in DIALECTS.items() if wire.read is not None]
#: The numbers of the built-in families' payloads beside their grids.
NUMBERS = [
    (family, name)
    for family, info in FAMILIES.items()
    for name in info.payload.__struct_fields__
    if name != info.grid_key
]
#: One change of each kind that a reader must notice or may accept, by the names of the model.
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"fingerprint": "C2f096345b0d84e6"}, {"fingerprint": "0" * 15}, {"fingerprint": "0" * 65},
    {"mm_hash": "0" * 129}, {"mm_hash": ""}, {"modality": ""}, {"modality": "a b"},
    {"modality": 'a"b'}, {"modality": "é"}, {"run_id": "run_run_x"}, {"run_id": "run_x"},
    {"run_id": "."}, {"run_id": ""}, {"raw_image_id": "com1.png"}, {"raw_image_id": "../a.png"},
    {"raw_uri": "https://host/a.png"}, {"raw_uri": ""}, {"raw_uri": "data:image/png;base64,AAA"},
    {"raw_uri": "data:image/png;base64,"}, {"raw_uri": samples.LABEL + "?x"},
    {"raw_uri": samples.LABEL},
    {"raw_uri": "file:///data/../" + samples.NAME}, {"raw_uri": samples.INLINE},
    {"raw_uri": f"https://host/{samples.NAME}"}, {"raw_uri": samples.LABEL.replace("data", "d a")},
    {"raw_uri": f"file:///{'x' * 4096}/{samples.NAME}"},
    {"raw_uri": "file:///images/other.png"}, {"raw_uri": samples.LABEL.replace("data", "d\\ta")},
    {"raw_uri": samples.LABEL, "raw_image_id": None},
    {"raw_uri": samples.INLINE, "raw_image_id": None},
    {"raw_image_id": None}, {"vllm_modality": ""}, {"vllm_modality": "a b"},
    {"vllm_modality": "image"}, {"raw_ref": "any text"}, {"raw_ref": 'a "quoted" text'},
)  # fmt: skip


def with_changes(
    fields: dict[str, Any], names: tuple[tuple[str, str], ...], changes: dict[str, Any]
) -> dict[str, Any] | None:
    """The sample with changes, by the names of the model; None where the dialect has no place."""
    wire_names = {attribute: name for name, attribute in names}
    if not changes.keys() <= wire_names.keys():
        return None
    changed = fields | {wire_names[name]: value for name, value in changes.items()}
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize("dialect", READ_AT_ONCE)
@pytest.mark.parametrize("changes", CHANGES, ids=repr)
def test_a_reader_of_canonical_refs_accepts_what_is_right(
    dialect: str, changes: dict[str, Any]
) -> None:
    wire = DIALECTS[dialect]
    fields = with_changes(samples.ref_fields(dialect), wire.fields, changes)
    if fields is None or not wire.required <= fields.keys():
        return
    text = ref_text(fields, dialect)
    try:
        expected = parse_strictly(text, DEFAULT_LIMITS)
    except MMRawError:
        expected = None
    body: Any = text
    if wire.encoding != "segments":
        body = canonical_json(fields).encode()
    found = wire.read(body, RawMMRef, DEFAULT_LIMITS) if wire.read else None
    if found is not None or (expected is not None and changes.get("run_id") != "run_x"):
        assert found == expected


@pytest.mark.parametrize("changes", CHANGES, ids=repr)
def test_a_struct_of_an_envelope_fits_where_it_is_right(
    changes: dict[str, Any],
) -> None:
    wire = ITEMS[DEFAULT_ITEM]
    item = with_changes(samples.envelope(DEFAULT_ITEM), wire.fields, changes)
    if item is None or not wire.required <= item.keys():
        return
    try:
        expected = parse_item(json.dumps(item))
    except MMRawError:
        expected = None
    value = msgspec.convert(item, CANONICAL_ITEM.structs["qwen_vl"])
    made = CANONICAL_ITEM.make(RawMMItem, value)
    fits = CANONICAL_ITEM.fits(msgspec.json.encode(value), "qwen_vl", made, DEFAULT_LIMITS)
    # Values that JSON spells only with escapes are left to the strict reader.
    if fits or "quoted" not in str(changes):
        assert (made if fits else None) == expected


@pytest.mark.parametrize(("family", "name"), NUMBERS)
@pytest.mark.parametrize("value", [0, 1048577])
def test_numbers_of_payloads_have_bounds(family: str, name: str, value: int) -> None:
    wrong = {**samples.payload(family), name: value}
    for dialect in READ_AT_ONCE:
        with pytest.raises(MMRawError) as caught:
            parse_ref(samples.ref(dialect, family, payload=wrong))
        assert (caught.value.code, caught.value.path) == ("invalid_value", f"$.payload.{name}")
    good = parse_ref(samples.ref(family=family))
    payload = msgspec.structs.replace(cast("Any", good.payload), **{name: value})
    with pytest.raises(MMRawError) as caught:
        format_ref(msgspec.structs.replace(good, payload=payload))
    assert (caught.value.code, caught.value.path) == ("invalid_value", f"$.payload.{name}")
