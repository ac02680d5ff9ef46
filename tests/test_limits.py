"""Limits: a document exactly at a limit is read, and one beyond it is rejected.

Each case is one document and what the limit measures of it. The limit is set to that number, and
then to one less. So it is for every dialect that has the fields of the case, for canonical texts
and for other spellings, as text and as decoded object.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
import samples
from routes import counted

from mmraw_protocol import (
    DEFAULT_LIMITS,
    FeaturesBuilder,
    Limits,
    MMRawError,
    RawMMRef,
    build_features,
    check_raw_image_id,
    format_ref,
    normalize_run_id,
    parse_features,
    parse_item,
    parse_ref,
)
from mmraw_protocol.testing import ref_text
from mmraw_protocol.wire._generated.dialects import (
    CANONICAL_ITEM,
    DEFAULT_ITEM,
    DIALECTS,
    ITEMS,
    WRITABLE,
)
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.base64 import decode_base64url
from mmraw_protocol.wire.data_url import parse_data_uri
from mmraw_protocol.wire.json import canonical_json
from mmraw_protocol.wire.ref_read import ref_from_fields


class Case(NamedTuple):
    """A document at a limit: the sample with changes, by the names of the model."""

    limit: str
    size: int
    changes: dict[str, Any]
    family: str = "qwen_vl"
    is_canonical: bool = True


NAME = "a" * 36 + ".png"
LABEL = f"file:///images/{NAME}"
OPAQUE = {"a": [[1, 2]], "b": "xyz"}
GRID = {family: samples.payload(family) for family in FAMILIES}

CASES = [
    Case("name_chars", 20, {"run_id": "a" * 20}),
    Case("name_chars", 20, {"run_id": "run_" + "a" * 16}, is_canonical=False),
    Case("name_chars", 20, {"modality": "m" * 20}),
    Case("name_chars", 20, {"vllm_modality": "m" * 20}),
    Case("name_chars", 7, {"family": "qwen_vl"}),
    Case("name_chars", 20, {"family": "f" * 20}, "f" * 20),
    Case("raw_image_id_bytes", 40, {"raw_image_id": NAME}),
    Case("raw_image_id_bytes", 40, {"raw_uri": LABEL, "raw_image_id": NAME}),
    Case("raw_image_id_bytes", 40, {"raw_uri": LABEL}),
    *(
        Case("inline_image_bytes", size, {"raw_uri": samples.data_url(bytes(size))})
        for size in (30, 31, 32, 200_000, 200_001, 200_002)
    ),
    *(Case("grid_patches", 256, {"payload": grid}, family) for family, grid in GRID.items()),
    Case("payload_bytes", len(canonical_json(OPAQUE)), {"payload": OPAQUE}, "other"),
    Case("payload_depth", 3, {"payload": OPAQUE}, "other"),
    Case("payload_nodes", 6, {"payload": OPAQUE}, "other"),
]


def label(case: Any) -> str | None:
    return f"{case.limit}-{'+'.join(case.changes)}" if isinstance(case, Case) else None


def changed(
    fields: dict[str, Any], names: tuple[tuple[str, str], ...], case: Case
) -> dict[str, Any] | None:
    """The sample's fields with a case's changes; None where the dialect cannot hold them."""
    wire_names = {attribute: name for name, attribute in names}
    if not set(case.changes) <= set(wire_names):
        return None
    is_label = str(case.changes.get("raw_uri", "")).startswith("file:")
    if is_label and "raw_image_id" in wire_names and "raw_image_id" not in case.changes:
        return None
    return fields | {wire_names[name]: value for name, value in case.changes.items()}


def is_held(case: Case, syntax: str) -> bool:
    """True if a syntax of URLs knows the one of a case."""
    uri = case.changes.get("raw_uri")
    wanted = {"data_url": "data:", "file_label": "file:"}.get(syntax, "")
    return uri is None or uri.startswith(wanted)


def ref_cases() -> Iterator[Any]:
    for dialect, wire in DIALECTS.items():
        for case in CASES:
            if wire.uri is not None and not is_held(case, wire.uri[1]):
                continue
            if wire.family is not None and (case.family != wire.family or "family" in case.changes):
                continue
            fields = changed(samples.ref_fields(dialect, case.family), wire.fields, case)
            if fields is not None and wire.family is not None and "payload" in case.changes:
                fields["grid_thw"] = case.changes["payload"]["image_grid_thw"]
            if fields is not None:
                yield pytest.param(case, dialect, fields, id=f"{label(case)}-{dialect}")


REF_CASES = list(ref_cases())


def limits_of(name: str, size: int) -> tuple[Limits, Limits]:
    """A limit that just holds `size`, and one that just does not."""
    return Limits(**{name: size}), Limits(**{name: size - 1})


def check_limit(work: Callable[[Limits], Any], name: str, size: int) -> Any:
    """Returns what is read at the limit, after the rejection beyond it."""
    at, beyond = limits_of(name, size)
    with pytest.raises(MMRawError) as caught:
        work(beyond)
    assert caught.value.code == "limit_exceeded"
    return work(at)


@pytest.mark.parametrize(("case", "dialect", "fields"), REF_CASES)
@pytest.mark.parametrize("spelling", ["canonical", "other"])
def test_refs_keep_every_limit(
    case: Case, dialect: str, fields: dict[str, Any], spelling: str
) -> None:
    wire, text = DIALECTS[dialect], ref_text(fields, dialect)
    size, is_canonical = case.size, spelling == "canonical"
    if not is_canonical:
        text = samples.respelled(text, dialect)
        # A payload in a segment is measured by its text, elsewhere by its canonical form.
        size += case.limit == "payload_bytes" and wire.encoding == "segments"
    with counted() as taken:
        ref = check_limit(lambda limits: parse_ref(text, limits=limits), case.limit, size)
    assert ref == parse_ref(text)
    assert ref.dialect == dialect
    has_reader = wire.read is not None and dialect in WRITABLE and case.family in FAMILIES
    expected = is_canonical and case.is_canonical and has_reader
    assert (taken["canonical"], taken["strict"]) == (int(expected), 1 + (not expected))


@pytest.mark.parametrize(("case", "dialect", "fields"), REF_CASES)
def test_readers_of_canonical_texts_keep_every_limit(
    case: Case, dialect: str, fields: dict[str, Any]
) -> None:
    wire, text = DIALECTS[dialect], ref_text(fields, dialect)
    if wire.read is None or case.family not in FAMILIES or not case.is_canonical:
        return
    body: Any = text.removeprefix(wire.prefix).encode()
    if wire.encoding == "base64url-json":
        body = decode_base64url(text, start=len(wire.prefix))
    found = wire.read(text if wire.encoding == "segments" else body, RawMMRef, DEFAULT_LIMITS)
    assert found == parse_ref(text)
    at, beyond = limits_of(case.limit, case.size)
    given = text if wire.encoding == "segments" else body
    assert wire.read(given, RawMMRef, at) == found
    assert wire.read(given, RawMMRef, beyond) is None


@pytest.mark.parametrize(("case", "dialect", "fields"), REF_CASES)
def test_refs_are_written_within_every_limit(
    case: Case, dialect: str, fields: dict[str, Any]
) -> None:
    if dialect in WRITABLE and case.is_canonical:
        text = ref_text(fields, dialect)
        ref = parse_ref(text)
        work = lambda limits: format_ref(ref, dialect, limits=limits)  # noqa: E731
        assert check_limit(work, case.limit, case.size) == text


@pytest.mark.parametrize("dialect", ["v1", "v2"])
@pytest.mark.parametrize("family", ["qwen_vl", "other"])
@pytest.mark.parametrize("spelling", ["canonical", "other"])
def test_refs_of_segments_have_a_length(dialect: str, family: str, spelling: str) -> None:
    text = samples.ref(dialect, family)
    text = text if spelling == "canonical" else samples.respelled(text, dialect)
    check_limit(lambda limits: parse_ref(text, limits=limits), "v2_ref_chars", len(text))
    if (dialect, spelling) == ("v2", "canonical"):
        ref = parse_ref(text)
        work = lambda limits: format_ref(ref, "v2", limits=limits)  # noqa: E731
        assert check_limit(work, "v2_ref_chars", len(text)) == text


@pytest.mark.parametrize("spelling", ["canonical", "other"])
def test_a_payload_of_a_built_in_family_has_a_length_in_v2(spelling: str) -> None:
    text = samples.ref("v2")
    text = text if spelling == "canonical" else samples.respelled(text, "v2")
    size = len(decode_base64url(text.rpartition(":")[2]))
    check_limit(lambda limits: parse_ref(text, limits=limits), "payload_bytes", size)


@pytest.mark.parametrize("dialect", [d for d, wire in DIALECTS.items() if "json" in wire.encoding])
def test_values_of_a_built_in_family_are_counted(dialect: str) -> None:
    text = samples.respelled(samples.ref(dialect), dialect)
    # Six fields have five commas, two objects open, and the grid has two lists and two commas.
    size = len(samples.ref_fields(dialect)) - 1 + 2 + 4
    check_limit(lambda limits: parse_ref(text, limits=limits), "listed_values", size)


def test_values_of_a_built_in_family_are_counted_in_v2() -> None:
    text = samples.respelled(samples.ref("v2"), "v2")
    check_limit(lambda limits: parse_ref(text, limits=limits), "listed_values", 1 + 4)


@pytest.mark.parametrize("dialect", ["v3", "unversioned-uri", "unversioned-data", "v3-runless"])
def test_a_ref_is_as_long_as_its_parts_may_be(dialect: str) -> None:
    """No text is decoded that an image, a payload and 8,192 bytes of other fields cannot fill."""
    limits = Limits(payload_bytes=3000, inline_image_bytes=3000)
    wire = DIALECTS[dialect]
    most = 3000 // 3 * 4 + 4 + 3000 + 8192
    body = canonical_json(samples.ref_fields(dialect))
    # The length of base64 tells the bytes to a group of three.
    for size, code in ((most, None), (most + 3, "limit_exceeded")):
        text = body + " " * (size - len(body))
        text = wire.prefix + (text if wire.encoding == "json" else samples.encoded(text))
        assert code_of(lambda text=text: parse_ref(text, limits=limits)) == code


def code_of(work: Callable[[], Any]) -> str | None:
    """The code of the rejection; None where there is none."""
    try:
        work()
    except MMRawError as error:
        return error.code
    return None


def item_cases() -> Iterator[Any]:
    for dialect, wire in ITEMS.items():
        syntaxes = {"raw_image_data": "data_url", "raw_image_uri": "file_label"}
        syntax = next((s for name, s in syntaxes.items() if name in dict(wire.fields)), "raw_uri")
        for case in CASES:
            fields = changed(samples.envelope(dialect, case.family), wire.fields, case)
            if fields is not None and is_held(case, syntax):
                yield pytest.param(case, dialect, fields, id=f"{label(case)}-{dialect}")


ITEM_CASES = list(item_cases())


@pytest.mark.parametrize(("case", "dialect", "item"), ITEM_CASES)
@pytest.mark.parametrize("form", ["object", "text", "bytes"])
def test_envelopes_keep_every_limit(
    case: Case, dialect: str, item: dict[str, Any], form: str
) -> None:
    text = json.dumps(item)
    given: Any = {"object": item, "text": text, "bytes": text.encode()}[form]
    with counted() as taken:
        found = check_limit(lambda limits: parse_item(given, limits=limits), case.limit, case.size)
    assert found == parse_item(item)
    assert found.dialect == dialect
    expected = form == "object" and dialect == "v1" and case.family in FAMILIES
    assert (taken["struct"], taken["item"]) == (int(expected), 1 + (not expected))


@pytest.mark.parametrize(("case", "dialect", "item"), ITEM_CASES)
def test_structs_of_envelopes_keep_every_limit(
    case: Case, dialect: str, item: dict[str, Any]
) -> None:
    if case.family not in FAMILIES or dialect != DEFAULT_ITEM:
        return
    wire = CANONICAL_ITEM
    value = msgspec.convert(item, wire.structs[case.family])
    made = wire.make(dict, value)
    found = msgspec.defstruct("Made", [*made])(**made)
    data = msgspec.json.encode(value)
    at, beyond = limits_of(case.limit, case.size)
    assert wire.fits(data, case.family, found, DEFAULT_LIMITS)
    assert wire.fits(data, case.family, found, at)
    assert not wire.fits(data, case.family, found, beyond)


@pytest.mark.parametrize("dialect", ITEMS)
def test_values_of_an_envelope_of_a_built_in_family_are_counted(dialect: str) -> None:
    item = samples.envelope(dialect)
    text = json.dumps(item)
    check_limit(lambda limits: parse_item(text, limits=limits), "listed_values", len(item) + 5)


def test_an_envelope_is_as_long_as_its_parts_may_be() -> None:
    limits = Limits(payload_bytes=3000, inline_image_bytes=3000)
    most = 3000 // 3 * 4 + 4 + 2 * 3000 + 65536
    text = json.dumps(samples.envelope())
    parse_item(text + " " * (most - len(text)), limits=limits)
    beyond = text + " " * (most + 1 - len(text))
    assert code_of(lambda: parse_item(beyond, limits=limits)) == "limit_exceeded"


@pytest.mark.parametrize("family", ["qwen_vl", "other"])
def test_a_features_body_has_a_number_of_images(family: str) -> None:
    data = samples.mm_data([samples.envelope(family=family)] * 3)
    with counted() as taken:
        body = check_limit(
            lambda limits: build_features(data, run_id="r", limits=limits), "features_images", 3
        )
    assert bool(taken["together"]) == (family in FAMILIES)
    for given in (body, json.dumps(body), json.dumps(body).encode()):
        check_limit(
            lambda limits, given=given: parse_features(given, limits=limits), "features_images", 3
        )


def test_a_growing_conversation_has_a_number_of_images() -> None:
    def grow(limits: Limits) -> None:
        builder = FeaturesBuilder(run_id="r", limits=limits)
        for number in range(3):
            span = {"offset": 100 * number, "length": 64}
            builder.add(samples.mm_data([samples.envelope()], mm_placeholders={"image": [span]}))

    check_limit(grow, "features_images", 3)


def test_a_features_body_has_a_size() -> None:
    body = samples.features(samples.ref(), samples.ref("v2"))
    text = json.dumps(body)
    check_limit(lambda limits: parse_features(text, limits=limits), "features_bytes", len(text))
    check_limit(
        lambda limits: parse_features(text.encode(), limits=limits), "features_bytes", len(text)
    )
    # Of a decoded body the refs are counted.
    size = sum(map(len, body["kwargs_data"]["image"]))
    check_limit(lambda limits: parse_features(body, limits=limits), "features_bytes", size)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_features_body_keeps_the_limits_of_its_refs(case: Case) -> None:
    fields = changed(samples.ref_fields("v3", case.family), DIALECTS["v3"].fields, case)
    if fields is not None:
        modality = fields["modality"]
        body = samples.features(ref_text(fields, "v3"), modality=modality)
        check_limit(lambda limits: parse_features(body, limits=limits), case.limit, case.size)


@pytest.mark.parametrize("case", CASES, ids=label)
@pytest.mark.parametrize("beside", ["qwen_vl", "other"])
def test_a_features_body_is_built_within_the_limits_of_its_envelopes(
    case: Case, beside: str
) -> None:
    """Together with other images of built-in families, and where one is of another family."""
    item = changed(samples.envelope(family=case.family), ITEMS["v1"].fields, case)
    if item is None:
        return
    data = samples.mm_data([item, samples.envelope(family=beside)])
    with counted() as taken:
        check_limit(
            lambda limits: build_features(data, run_id="r", limits=limits), case.limit, case.size
        )
    assert taken["together"] == (beside in FAMILIES and case.family in FAMILIES)


def test_names_and_images_by_themselves_keep_their_limits() -> None:
    check_limit(lambda limits: normalize_run_id("run_abc", limits=limits), "name_chars", 7)
    check_limit(lambda limits: check_raw_image_id(NAME, limits=limits), "raw_image_id_bytes", 40)
    for size in (30, 31, 32):
        uri = samples.data_url(bytes(size))
        check_limit(
            lambda limits, uri=uri: parse_data_uri(uri, limits=limits), "inline_image_bytes", size
        )


def test_fields_by_name_keep_the_default_limits() -> None:
    most = DEFAULT_LIMITS.name_chars
    ref_from_fields(samples.ref_fields(run_id="a" * most), "v3")
    assert (
        code_of(lambda: ref_from_fields(samples.ref_fields(run_id="a" * (most + 1)), "v3"))
        == "limit_exceeded"
    )
