"""Checking files of any size: the same verdicts by lines, at once and as the bytes stream by."""

import io
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol import MMRawError
from mmraw_protocol.files import check, check_stream, objects
from mmraw_protocol.files.validation import check_document
from mmraw_protocol.wire.json import parse_json

REF = samples.ref()
ITEM = samples.envelope()
FEATURES = samples.features()
PARTS = [{"type": "image_url", "url": REF}]
ARRAY = [[[REF, 5, 64]]]
#: With it, a document is longer than what is held as a whole.
PAD = "x" * 9_000_000


def reader(data: bytes, seed: int | None = None) -> Callable[[int], bytes]:
    file = io.BytesIO(data)
    if seed is None:
        return file.read
    sizes = random.Random(seed)
    return lambda size: file.read(min(size, sizes.choice([1, 5, 17, 300])))


#: Contents of files: good, and broken in one place.
parts = st.sampled_from(
    [
        REF,
        REF[:-3],
        "mmraw:v9:x",
        "mmfile:v1:x",
        "prime_raw_mm_item",
        ITEM,
        {**ITEM, "version": 2},
        {**ITEM, "extra": REF},
        {"kind": "other", "ref": REF},
        FEATURES,
        {**FEATURES, "kwargs_data": {"image": [REF, REF]}},
        {"mm_hashes": {}, "ref": REF},
        {"kwargs_data": {"image": [{**ITEM, "version": 2}]}, "mm_hashes": {}},
        {"features": FEATURES},
        PARTS,
        {"content_parts": PARTS},
        {"content_parts": [*PARTS, {"type": "text", "text": "x"}], "note": REF},
        {"content_parts": {"url": REF}},
        {"content_parts": REF},
        {"mm_refs": ARRAY},
        {"mm_refs": {"images": [{"url": REF, "offset": 5, "length": 0}]}},
        {"mm_refs": ITEM},
        {"images": [{"url": REF, "offset": 5, "length": 9}]},
        ARRAY,
        [[[REF, 5, 9], [REF, 6, 9]]],
        [[["a word", 5, 9]]],
        [[[REF, 5]]],
        [[[REF, 5, 9]], 7],
        "text",
        [1, 2.5, None],
    ]
)
documents = st.recursive(
    parts,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["kind", "a", "mm_hashes", "kwargs_data", "mm_refs", "images"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


def verdicts(findings: Any) -> Counter[tuple[str, str | None]]:
    return Counter((one.kind, one.error and one.error.code) for one in findings)


@given(documents, st.sampled_from([None, 1]), st.integers())
def test_a_stream_gives_the_verdicts_of_the_whole(
    document: Any, indent: int | None, seed: int
) -> None:
    data = json.dumps(document, indent=indent).encode()
    expected = verdicts(check_document(data))
    streamed = verdicts(finding for _, finding in check_stream(reader(data, seed)))
    assert streamed == expected
    checked = check(reader(data))
    assert sum(checked.counts.values()) == sum(expected.values())


@given(st.lists(documents, max_size=6), st.data())
def test_lines_are_checked_one_by_one_and_a_broken_one_stops_nothing(
    rows: list[Any], data: st.DataObject
) -> None:
    lines = [json.dumps(row).encode() for row in rows]
    lines.insert(data.draw(st.integers(0, len(lines))), b'{"broken')
    lines.insert(0, b"[]")
    checked = check(reader(b"\n".join(lines)))
    expected = Counter(
        finding.kind for line in lines if line != b'{"broken' for finding in check_document(line)
    )
    expected["document"] += 1
    assert Counter(checked.counts) == expected


texts = st.one_of(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
    ).map(json.dumps),
    st.text(alphabet='{}[]":,\\u0019-.eE anN', max_size=12),
    st.sampled_from(
        ['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', "9007199254740993", '["9007199254740993", 1]',
         "[" * 300 + "]" * 300, '"\\ud800"', "\ufeff1", "1e999", "-0", '{"x": "\\": 1"}', "NaN"]
    ),
)  # fmt: skip


@given(texts)
def test_the_short_way_of_reading_is_as_strict_as_the_long_one(text: str) -> None:
    refused: MMRawError | None = None
    try:
        parse_json(text)
    except MMRawError as error:
        refused = error
    (*found,) = check_document(text)
    assert [one.error.code for one in found if one.error and one.kind == "document"] == (
        [refused.code] if refused else []
    )


@pytest.mark.parametrize(
    "text", ["mmfile:v1:x", '["mmfile:v1:x"]', '{"image": "\\u006dmfile:v1:x"}']
)
@pytest.mark.parametrize("pad", ["", f'"{PAD}"\n'])
def test_refs_to_processed_features_are_refused_by_name(text: str, pad: str) -> None:
    checked = check(reader((pad + text).encode()))
    assert checked.refused == {"unsupported_dialect": 1}
    assert "mmfile" in checked.refusals[0].message


@pytest.mark.parametrize("processes", [1, 2])
def test_lines_of_any_length_are_checked(processes: int) -> None:
    long = b'{"pad": "' + b"x" * 9_000_000 + b'", "a": ["' + REF.encode() + b'", "mmraw:v9:x"]}'
    data = b"\n".join([json.dumps(REF).encode(), long, long + b"}", json.dumps(ITEM).encode()])
    checked = check(reader(data), processes=processes)
    assert checked.counts == {"ref": 5, "document": 1, "envelope": 1}
    assert [(one.line, one.code) for one in checked.refusals] == [
        (2, "unsupported_dialect"),
        (3, "unsupported_dialect"),
        (3, "invalid_json"),
    ]


@pytest.mark.parametrize(
    ("document", "counts"),
    [
        (
            {"pad": PAD, "content_parts": PARTS, "mm_refs": ARRAY},
            {"content_parts": 1, "mm_refs": 1},
        ),
        (
            {"mm_refs": {"images": [{"url": REF, "offset": 5, "length": 64}]}, "p": PAD},
            {"mm_refs": 1},
        ),
        ([PAD, [1, 2, ARRAY]], {"mm_refs": 1}),
        ([{"type": "image_url", "url": f"https://example.org/{PAD}"}], {"content_parts": 1}),
        ([[[f"https://example.org/{PAD}", 5, 9]]], {"mm_refs": 1}),
        (
            {"images": [{"url": f"https://example.org/{PAD}", "offset": 5, "length": 9}]},
            {"mm_refs": 1},
        ),
    ],
)
@pytest.mark.parametrize("indent", [None, 4])
def test_images_by_their_urls_are_checked_in_documents_of_any_length(
    document: Any, counts: dict[str, int], indent: int | None
) -> None:
    data = json.dumps(document, indent=indent).encode()
    checked = check(reader(data))
    assert (checked.counts, checked.refused) == (counts, {})
    broken = data.replace(b"image_url", b"text")
    for length in (b"9", b"64"):
        for around in (b": %s", b", %s]", b"%s\n"):
            broken = broken.replace(around % length, around % b"0")
    assert check(reader(broken)).refused


def test_what_ends_before_a_fault_is_checked_whole() -> None:
    features = b'[{"mm_hashes": {}, "kwargs_data": {}, "ref": "mmraw:v3:eyJ9"}]'
    found = [(one.kind, one.error) for _, one in check_stream(reader(features))]
    *before, (kind, _) = [(one.kind, one.error) for _, one in check_stream(reader(features + b"x"))]
    assert [one for one, _ in before] == [one for one, _ in found] == ["features"]
    assert kind == "document"


@pytest.mark.parametrize("pad", ["", PAD])
def test_lists_of_words_and_numbers_are_no_images(pad: str) -> None:
    rows = [[["the", 5, 9], ["cat", 6, 2]]]
    checked = check(reader(json.dumps([pad, rows]).encode()))
    assert (checked.counts, checked.refused) == ({}, {})


def test_an_object_is_gathered_as_far_as_it_may_be_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "UNMARKED_BYTES", 2_000_000)
    padding = "x" * 1_100_000
    # The outer object shows no mark and is let go; what stands in it is still found whole.
    outer = {"pad": padding, "rows": [padding, {"deep": FEATURES}, ITEM, padding, REF]}
    data = json.dumps(outer).encode()
    assert verdicts(f for _, f in check_stream(reader(data))) == verdicts(check_document(data))
    # One that shows its marks in time is kept to its limits.
    late = {"mm_hashes": {}, "kwargs_data": {"image": [padding] * 3}, "mm_placeholders": {}}
    data = json.dumps(late).encode()
    assert verdicts(f for _, f in check_stream(reader(data))) == verdicts(check_document(data))
    # One that shows them too late is refused, and never passed over in silence.
    hidden = json.dumps({"pad": [padding] * 3, **ITEM}).encode()
    found = verdicts(finding for _, finding in check_stream(reader(hidden)))
    assert found == {("envelope", "limit_exceeded"): 1}


def test_a_long_document_is_checked_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(objects, "UNMARKED_BYTES", 100_000)

    row = json.dumps({"r": REF, "i": ITEM, "text": "x" * 9_000}, indent=1).encode()
    pieces = iter([b'{"rows": [', *([(row + b",") * 5] * 80), row, b"]}"])
    verdicts(finding for _, finding in check_stream(reader(row)))
    tracemalloc.start()
    found = Counter(finding.kind for _, finding in check_stream(lambda size: next(pieces, b"")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == {"ref": 401, "envelope": 401}
    assert peak < 1_200_000 < 400 * len(row) / 3


def test_lines_that_are_one_document_only_together_are_refused_one_by_one() -> None:
    checked = check(reader(b'["a"\n"b"]\n1, 2\n3\n'))
    assert [one.line for one in checked.refusals] == [2]
    checked = check(reader(b'{"a": 1}\n["a"\n["b"]\n["a", 2\n3\n'))
    assert [(one.line, one.code) for one in checked.refusals] == [
        (line, "invalid_json") for line in (2, 4)
    ]


@pytest.mark.parametrize("depth", [255, 256, 257])
def test_lines_are_nested_as_deep_alone_as_among_others(depth: int) -> None:
    line = b"[" * depth + b"]" * depth + b"\n"
    codes = [one.code for one in check(reader(b"{}\n" + line)).refusals]
    assert codes == (["limit_exceeded"] if depth > 256 else [])


@pytest.mark.parametrize("blank", ["", "\n\n  "])
@pytest.mark.parametrize("pad", ["", PAD])
def test_documents_over_many_lines_are_checked_each_and_have_their_lines(
    blank: str, pad: str
) -> None:
    """As `jq` prints the rows of a file."""
    rows = [{"a": REF, "pad": pad}, {"b": [REF, {"c": "mmraw:v9:x"}]}, [["mmraw:v9:x"]]]
    text = blank + "\n".join(json.dumps(row, indent=1) for row in rows)
    checked = check(reader(text.encode()))
    assert checked.counts == {"ref": 4}
    lines = [number for number, line in enumerate(text.split("\n"), 1) if "mmraw:v9" in line]
    assert [one.line for one in checked.refusals] == lines
    # A fault has the line that it stands on.
    broken = check(reader(text.removesuffix("]").encode()))
    assert (broken.counts["ref"], broken.counts["document"]) == (3 + bool(pad), 1)
    assert broken.refusals[-1].line == len(text.split("\n"))
