"""Refs in any text: what people copy out of logs, JSON, query strings and e-mails."""

import json
from urllib.parse import quote

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol.files.texts import find_refs, place_in
from mmraw_protocol.testing import refs
from mmraw_protocol.wire._generated.dialects import DIALECTS
from mmraw_protocol.wire.base64 import decode_base64url, encode_base64

REF = samples.ref()

AROUND = [
    "{}",
    "  {}  \n",
    '"{}"',
    "'{}',",
    '  "{}",',
    "`{}`",
    "<{}>",
    "(see {}.)",
    "{}: refused",
    "10:02 ERROR worker[3] ref={} code=grid_mismatch",
    "first line\r\n\tref: {}; and more",
]


def found(text: str) -> list[str]:
    """The refs of a text; what each says of its place is true."""
    rows = list(find_refs(text))
    for row in rows:
        assert (row.line, row.column) == place_in(text, row.start)
        assert text[row.start :].startswith("mm")
    return [row.ref for row in rows]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_ref_is_found_whatever_stands_around_it(dialect: str, around: str) -> None:
    ref = samples.ref(dialect)
    text = around.format(ref)
    (row,) = find_refs(text)
    assert row.ref == text[row.start : row.end] == ref


@pytest.mark.parametrize("levels", range(1, 4))
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_escapes_of_json_and_of_urls_are_undone(dialect: str, levels: int) -> None:
    ref = escaped = percent = samples.ref(dialect)
    for _ in range(levels):
        escaped, percent = json.dumps([escaped]), quote(percent, safe="")
    assert found(f"body={escaped}, {escaped}") == [ref, ref]
    text = f"GET /?ref={percent}&next={percent} HTTP/1.1"
    assert found(text) == [ref, ref]
    assert [text[row.start : row.end] for row in find_refs(text)] == [percent, percent]
    within = quote(json.dumps({"ref": ref, "n": 1}), safe="")
    assert found(within) == [ref]


def test_lines_and_columns_are_those_of_the_first_character() -> None:
    text = f"one\ntwo {REF} and {REF}\r\n\n{REF}"
    places = [(row.line, row.column) for row in find_refs(text)]
    assert places == [(2, 5), (2, 5 + len(REF) + 5), (4, 1)]
    assert found(REF + REF) == [REF, REF]


@pytest.mark.parametrize(
    "text",
    [
        "urn:mmraw:ref:v3",
        "mmraw: hash_mismatch at $.mm_hash",
        "pip install mmraw-protocol; mmraw inspect",
        "the prefix is mmraw:v3: and nothing else",
        "",
    ],
)
def test_words_of_a_log_are_no_refs(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("end", ["...", "…", "==", "=", ".....more"])
def test_what_was_left_out_or_put_behind_belongs_to_the_ref(end: str) -> None:
    cut = REF[:-20] + end
    assert found(f"ref={cut.removesuffix('more')} x") == [cut.removesuffix("more")]
    for ref in ("mmraw:v9:abc", "mmfile:v1:abc/def"):
        assert found(f"'{ref}'") == [ref]


def test_the_standard_alphabet_is_read_with_its_slashes() -> None:
    data = json.dumps({"family": "???>>>"}).encode()
    ref = f"mmraw:v3:{encode_base64(data)}"
    assert "/" in ref
    assert found(f"a {ref} b") == [ref]
    assert found(json.dumps(json.dumps([ref])).replace("/", "\\\\/")) == [ref]


@pytest.mark.parametrize("width", [40, 64, 76])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n    "])
def test_a_ref_over_several_lines_is_one(width: int, newline: str) -> None:
    wrapped = newline.join(REF[at : at + width] for at in range(0, len(REF), width))
    assert found(f"{wrapped}{newline}Done\n") == [wrapped]
    # A line of its own ends a ref, and what never becomes whole is cut off at its line.
    assert found(f"{REF}\nDone\n{REF}") == [REF, REF]
    assert found(f"{REF[:60]}\nDone\n") == [REF[:60]]


@given(refs(), st.sampled_from(AROUND))
def test_every_valid_ref_is_found(ref: str, around: str) -> None:
    assert found(around.format(ref)) == [ref]


@pytest.mark.parametrize("text", ['mmraw%3A{"a":1}', "mmraw%3A%257B%257D", "mmraw%253A{"])
def test_a_ref_of_uneven_escapes_is_found(text: str) -> None:
    assert [ref.startswith("mmraw:") for ref in found(f"GET {text} 200")] == [True]


@given(st.lists(st.sampled_from([*"mraw:v3{}\\\"'%7B22. \n", "mmraw:", REF, quote(REF)])))
def test_no_text_is_too_odd(parts: list[str]) -> None:
    text, last = "".join(parts), 0
    found(text)
    for row in find_refs(text):
        assert last <= row.start < row.end <= len(text)
        last = row.end


def test_the_text_of_a_ref_decodes() -> None:
    (row,) = find_refs(f'{{"ref": "{REF}"}}')
    assert json.loads(decode_base64url(row.ref.rpartition(":")[2]))["family"] == "qwen_vl"
