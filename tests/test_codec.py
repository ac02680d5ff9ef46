"""Text codecs: base64, JSON, canonical JSON, data: URLs."""

import base64
import json
import sys
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from routes import without_pybase64

from mmraw_protocol import MMRawError
from mmraw_protocol.testing import json_values
from mmraw_protocol.wire.base64 import (
    decode_base64,
    decode_base64url,
    encode_base64,
    encode_base64url,
)
from mmraw_protocol.wire.data_url import parse_data_uri, parse_file_label
from mmraw_protocol.wire.json import canonical_json, parse_json


def refused(work: Any, *args: Any, **options: Any) -> str | None:
    """The code that refuses, or None."""
    caught: MMRawError | None = None
    try:
        work(*args, **options)
    except MMRawError as error:
        caught = error
    if caught is None:
        return None
    assert caught.__context__ is None
    return caught.code


@given(st.binary(max_size=200))
def test_base64_is_that_of_the_standard_library(data: bytes) -> None:
    assert encode_base64(data) == base64.b64encode(data).decode()
    assert encode_base64url(data) == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert decode_base64(encode_base64(data)) == data
    assert decode_base64url(encode_base64url(data)) == data


@given(st.text("ABCabc019+/-_= \n", max_size=12))
@example("aGk=aGk=")
@example("aGl=")
@example("aGk")
def test_only_canonical_base64_is_decoded(text: str) -> None:
    if refused(decode_base64, text) is None:
        assert encode_base64(decode_base64(text)) == text
    if refused(decode_base64url, text) is None:
        assert encode_base64url(decode_base64url(text)) == text


def encoded_back(text: str, encode: Any, decode: Any) -> bytes | None:
    """Canonical by definition: what an encoder makes of the bytes is the text itself."""
    try:
        data = decode(text)
    except ValueError:
        return None
    return data if encode(data).decode() == text else None


def standard(text: str) -> bytes | None:
    return encoded_back(text, base64.b64encode, base64.b64decode)


def url(text: str) -> bytes | None:
    def encode(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    return encoded_back(text, encode, lambda text: base64.urlsafe_b64decode(text + "=="))


@given(
    st.text("ABCQgwabc019+/-_=. \n\u00e9", max_size=13)
    | st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode())
)
@example("aGk=aGk=")
@example("a===")
@example("aG==")
@example("aGk=\n")
@example("aGl\n")
@example("ab-_")
@example("----")
@example("aaaa____")
def test_base64_is_accepted_exactly_where_encoding_gives_it_back(text: str) -> None:
    for context in (nullcontext(), without_pybase64()):
        with context:
            code = refused(decode_base64, text)
            assert (None if code else decode_base64(text)) == standard(text)
            code = refused(decode_base64url, text)
            assert (None if code else decode_base64url(text)) == url(text)
            assert code in (None, "invalid_base64")


@given(json_values())
def test_canonical_json_is_a_fixed_point(value: Any) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert canonical_json(parse_json(text)) == text
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": 1.0}, '{"a":1.0,"b":1}'),
        ([1e16, 1e-07, 123456789012345.6, -0.0, 0], "[1e+16,1e-07,123456789012345.6,-0.0,0]"),
        ({"\U0001f600": 1, "\uffff": 2}, '{"\\uffff":2,"\\ud83d\\ude00":1}'),
        ("\x7f/\u00e9", '"\\u007f/\\u00e9"'),
    ],
)
def test_canonical_json_by_example(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a":1,"a":1}', "duplicate_key"),
        ('{"a":1,"\\u0061":1}', "duplicate_key"),
        ("[NaN]", "invalid_json"),
        ("[-Infinity]", "invalid_json"),
        ("[1e999]", "invalid_value"),
        ("[9007199254740992]", "invalid_value"),
        ("[" + "9" * 5000 + "]", "invalid_value"),
        ('"\\ud800"', "invalid_encoding"),
        ('{"\\udc00":1}', "invalid_encoding"),
        (b"\xef\xbb\xbf{}", "invalid_encoding"),
        (b'"\xff"', "invalid_encoding"),
        ("{} {}", "invalid_json"),
        ("[1,]", "invalid_json"),
        ("[" * 100_000, "limit_exceeded"),
        ('{"a":' * 100_000, "limit_exceeded"),
        # A string that is not closed, full of what could open one: searched once, not for each.
        ("[" * 300 + '"' + '\\"' * 200_000, "limit_exceeded"),
        ("", "invalid_json"),
    ],
)
def test_strict_json_refuses(text: str | bytes, code: str) -> None:
    assert refused(parse_json, text) == code


def test_brackets_in_strings_are_no_nesting() -> None:
    text = json.dumps({"a": "[" * 1000, "b": '"[' * 1000})
    assert parse_json(text)["a"] == "[" * 1000


@given(st.text(max_size=30))
def test_strict_json_agrees_with_the_standard_reader_where_it_accepts(text: str) -> None:
    if refused(parse_json, text) is None:
        assert json.loads(text) == parse_json(text)


@pytest.mark.parametrize(
    "value", [{1: 2}, {"a": {1, 2}}, [float("nan")], 2**53, "\ud800", object(), b"x"]
)
def test_what_is_no_json_is_never_written(value: Any) -> None:
    assert refused(canonical_json, value) is not None


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    assert refused(canonical_json, value) == "limit_exceeded"


@given(st.binary(min_size=1, max_size=50), st.sampled_from(["png", "jpeg", "jpg", "webp", "gif"]))
def test_data_images_are_read(data: bytes, kind: str) -> None:
    parsed = parse_data_uri(f"data:image/{kind};base64,{encode_base64(data)}")
    assert (parsed.media_type, parsed.data) == (f"image/{kind}", data)


def test_a_long_media_type_is_refused_without_searching_it() -> None:
    assert refused(parse_data_uri, "data:image/" + "a" * 1_000_000 + ";base64,AAAA") is not None


@pytest.mark.parametrize(
    "text",
    [
        "file://otherhost/a.png",
        "file:/a.png",
        "file:///a.png?x=1",
        "file:///a.png#y",
        "file:///a/",
        "file:///a%2fb/../",
        "http://localhost/a.png",
        "file:///" + "a" * 5000,
    ],
)
def test_labels_that_name_no_stored_image(text: str) -> None:
    assert refused(parse_file_label, text) == "invalid_raw_uri"


def test_a_label_names_its_last_segment() -> None:
    assert parse_file_label("file:///data/run_x/assets/images/abc.png") == "abc.png"
    assert parse_file_label("file://localhost/abc.png") == "abc.png"


def test_parsing_needs_neither_pillow_nor_sockets() -> None:
    import subprocess

    program = (
        "import sys, mmraw_protocol\n"
        "bad = {'PIL', 'numpy', 'torch', 'socket', 'ssl', 'hypothesis'} & set(sys.modules)\n"
        "sys.exit(repr(bad) if bad else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_large_documents_are_bounded_by_values_and_by_text_beyond_ascii() -> None:
    image = "data:image/png;base64," + "A" * (1 << 19)
    for document in ({"a": image}, {"a": image, "b": [image, "é"]}, [image.replace("/", "\\/")]):
        for text in (json.dumps(document), json.dumps(document, ensure_ascii=False).encode()):
            assert parse_json(text, max_values=10) == document
    long = "x" * (1 << 20)
    assert parse_json(f'"{long}"', max_values=10) == long
    assert refused(parse_json, "[" + "1," * 20 + "1]", max_values=10) == "limit_exceeded"
    for wide in (f'["\\u00e9{long}"]', f'["é{long}"]'):
        assert refused(parse_json, wide, max_values=10) == "limit_exceeded"
        assert refused(parse_json, wide.encode(), max_values=10) == "limit_exceeded"
        assert parse_json(wide) == ["é" + long]


def test_large_documents_hide_no_fault() -> None:
    image = "data:image/png;base64," + "A" * (1 << 19)
    same = f'{{"{image}":1,"{image}":2}}'
    assert refused(parse_json, same, max_values=10) == "duplicate_key"
    for fault in (f'["{image}', f'["{image}\\q"]', f'["{image}\\ud800"]', f'["x\\""{image}"]'):
        code = refused(parse_json, fault, max_values=10)
        assert code in ("invalid_json", "invalid_encoding", "limit_exceeded")


def test_values_are_counted_outside_strings() -> None:
    assert parse_json('[",,,[[[{{{", "\\",\\"", 1]', max_values=5) == [",,,[[[{{{", '","', 1]
    assert refused(parse_json, "[1,[2],{}]", max_values=4) == "limit_exceeded"
    assert parse_json('["' + "," * 50 + '\\\\",1]', max_values=2) == ["," * 50 + "\\", 1]


def test_a_label_has_4096_characters() -> None:
    begin, name = "file:///run/", "/a.png"
    label = begin + "x" * (4096 - len(begin + name)) + name
    assert parse_file_label(label) == "a.png"
    with pytest.raises(MMRawError, match="invalid_raw_uri"):
        parse_file_label(label.replace("/run/", "/runs/"))
