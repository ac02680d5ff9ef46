"""JSON inside strings: what is in it is checked and rewritten, and stays escaped as it was."""

import io
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_archives import REFS

from mmraw_protocol import convert_ref
from mmraw_protocol.files import ConvertJob, Report, check, rewrite
from mmraw_protocol.files.nested import Positions

OLD, NEW = REFS[7], convert_ref(REFS[7], "v3")


def rewritten(data: bytes, **options: Any) -> tuple[bytes, Report]:
    out = bytearray()
    report = rewrite(io.BytesIO(data).read, out.extend, ConvertJob(to="v3"), **options)
    return bytes(out), report


def ascii_json(value: object) -> str:
    return json.dumps(value)


def wide_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pretty_json(value: object) -> str:
    return json.dumps(value, indent=2)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("dump", [ascii_json, wide_json])
@pytest.mark.parametrize("outer", [ascii_json, pretty_json])
def test_refs_are_converted_at_any_depth(
    depth: int, dump: Callable[[object], str], outer: Callable[[object], str]
) -> None:
    def document(ref: str) -> bytes:
        value: object = [ref, {"é\\": ["\n\U0001f600", ref, 'said "yes"']}]
        for _ in range(depth):
            value = {"row": dump(value), "n": 1.5}
        return outer(value).encode()

    data, report = rewritten(document(OLD))
    assert data == document(NEW)
    assert (report.changed, report.unchanged) == (2, 0)
    assert check(io.BytesIO(data).read).counts == {"ref": 2}


def test_other_spellings_stay_where_a_string_changes() -> None:
    row = '{"row":"{\\"a\\/b\\":\\u0022\\u00e9\\u0022 , \\"r\\":[\\"%s\\",\\t1.50]}"}'
    data, _ = rewritten((row % OLD).encode())
    assert data == (row % NEW).encode()


@pytest.mark.parametrize(
    "row",
    [
        '{"row": "\\u007b\\"r\\": \\"%s\\"}"}',
        '{"row": " \\u005B\\u0022%s\\u0022]"}',
        '{"row": "\\u0022%s\\u0022"}',
    ],
)
def test_the_first_sign_of_json_may_be_an_escape(row: str) -> None:
    """As writers spell quotes and brackets whose text is put into HTML."""
    data, report = rewritten((row % OLD).encode())
    assert (data, report.changed) == ((row % NEW).encode(), 1)


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_what_python_writes_for_numbers_that_are_not_finite_is_json_in_strings_too(
    number: str,
) -> None:
    row = {"row": f'{{"reward": {number}, "ref": "{OLD}"}}'}
    data, report = rewritten(json.dumps([row, float(number)]).encode())
    assert data == json.dumps([row, float(number)]).replace(OLD, NEW).encode()
    assert report.changed == 1


def test_a_ref_that_is_encoded_twice_is_converted() -> None:
    data, _ = rewritten(json.dumps(json.dumps(OLD)).encode())
    assert data == json.dumps(json.dumps(NEW)).encode()


@pytest.mark.parametrize(
    "text",
    [f'he said "{OLD}"', f'[1] see "{OLD}"', f'{{"cut": "{OLD}"', f'{{"{OLD}": 1}}', "[mmraw:]"],
)
def test_prose_and_keys_stay(text: str) -> None:
    data = json.dumps({"text": text}).encode()
    out, report = rewritten(data)
    assert (out, report.changed) == (data, 0)


def test_a_refusal_within_a_string_has_its_place() -> None:
    bad = json.dumps({"é": "mmraw:v9:x"})
    line = json.dumps({"id": 1, "row": bad}).encode()
    for data in (b"{}\n" + line, b"{}\n" + line.replace(b'"row"', b'\n"row"')):
        _, report = rewritten(data, on_error="keep")
        (refusal,) = report.refusals
        assert data.split(b"\n")[refusal.line - 1][refusal.byte - 1 :].startswith(b'\\"mmraw:v9')


def test_messagepack_holds_json_too() -> None:
    data, report = rewritten(msgspec.msgpack.encode({"row": json.dumps([OLD])}))
    assert msgspec.msgpack.decode(data) == {"row": json.dumps([NEW])}
    assert report.changed == 1


def test_validate_finds_what_strings_hold() -> None:
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": OLD}}]}]
    row = {
        "messages": json.dumps(messages),
        "more": json.dumps({"x": json.dumps([OLD, "mmraw:v9:x"])}),
    }
    checked = check(io.BytesIO(json.dumps(row).encode()).read)
    assert checked.counts == {"ref": 3, "messages": 1}
    assert checked.refused == {"unsupported_dialect": 1}
    # The same in a document that is scanned as it streams by.
    long = json.dumps({"pad": "x" * 9_000_000, **row}, indent=1).encode()
    streamed = check(io.BytesIO(long).read)
    assert streamed.counts["ref"] == 3
    assert streamed.refused == {"unsupported_dialect": 1}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_positions_are_those_of_the_bytes(text: str, is_ascii: bool) -> None:
    raw = json.dumps(text, ensure_ascii=is_ascii).encode()
    said = text.encode()
    positions = Positions(raw)
    for index in range(len(text) + 1):
        at = len(text[:index].encode())
        assert json.loads(raw[: positions(at)] + b'"') == text[:index]
    assert positions(len(said)) == len(raw) - 1
