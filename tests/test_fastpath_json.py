"""Strict JSON: the fast way and the careful one give the same values, and refuse the same texts."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_fastpath import both

from mmraw_protocol.testing import json_values
from mmraw_protocol.wire.json import parse_json


def read(text: str | bytes) -> str:
    """The value as text, in which 1, 1.0 and True differ, and the order of keys is kept."""
    return repr(both(lambda: parse_json(text)))


@given(json_values(), st.sampled_from([None, 1]), st.booleans())
def test_documents_are_read_alike(value: Any, indent: int | None, escape: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escape)
    assert read(text) == read(text.encode()) == repr(json.loads(text))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60))
@example(5e-324)
@example(1.7976931348623157e308)
@example(-0.0)
@example(9007199254740991)
@example(999999999999999)
def test_numbers_are_read_alike(number: float) -> None:
    read(repr(number))
    read(f"[{number!r}]")


PIECES = (
    '{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":"b","c":"d"}', "[", "]", "{", "}", ",", ":",
    '"', " ", "\\", "\n", "\x00", "\x1f", "\x7f", "\ufeff", "\ud800", "é", "1", "-", "0", ".", "e",
    "E+", "400", "1e400", "1e-400", "-0", "00", "1.", ".5", "NaN", "Infinity", "-Infinity",
    "true", "null", "nul", "9007199254740993", "'", "/", "//", "\\u0061", "\t",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
@example('{"a":1,"a":2}')
@example('{"a":"x","a":"y"}')
@example("1e400")
@example("-0")
@example('"\x00"')
@example('{"":"","":""}')
def test_pieces_of_json_are_read_alike(text: str) -> None:
    read(text)
    read(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("depth", [255, 256, 257, 5000])
def test_nesting_is_read_alike(depth: int) -> None:
    read("[" * depth + "]" * depth)
