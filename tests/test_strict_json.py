"""The strict JSON reader finds by searches what one finds that looks at every value."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import reference_json
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmraw_protocol import Limits, MMRawError, parse_ref
from mmraw_protocol.wire import fastpath, jsonbulk
from mmraw_protocol.wire import json as jsontext
from mmraw_protocol.wire.base64 import encode_base64url
from mmraw_protocol.wire.json import PROCESSED_KEYS, check_json, check_raw_json, parse_json

#: Sound and broken, by themselves and beside one another.
PIECES = (
    "[", "]", "{", "}", ",", ":", '"', "\\", '\\"', "\\\\", " ", "\n", "\0", "\ufeff", "\ud800",
    "é",
    '"a"', '"b"', '"\\u0061"', '"a":', '"b":', '"\\u0061":', '"a" :', '"\\"":', '"\\\\":',
    '":"', '"a:b"', '"\\u003a"', '"[{,"', '"1e9999"', '"12345678901234567890"',
    '"\\ud800"', '"\\x"',
    '"\\ud83d\\ude00"', '{"a":1,"a":2}', '{"a":{"a":1}}', '{"pixel_values":1}', '"image_embeds"',
    '{"pixel_value\\u0073":1}', "1", "-1", "-0", "01", "1.5", "1.", "1e5", "1E+5", "1e308", "1e309",
    "-1E+0309", "1e-99999", "9007199254740991", "-9007199254740991", "9007199254740992",
    "-9007199254740992", "9007199254740993.0", "0.12345678901234567", "1" * 210 + "e99", "1" * 310,
    "1" * 308 + ".5", "true", "null", "nul", "NaN", "-Infinity", "[[[[", "]]", "[]", "{}", "[],[]",
)  # fmt: skip

leaves = st.sampled_from([p for p in PIECES if p[-1:] not in ":[{\\,"])
keys = st.sampled_from(['"a"', '"b"', ' "c" ', '"\\u0061"', '"pixel_values"', '"\\""'])


def sound(below: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Arrays and objects of what stands below; keys may occur twice."""
    members = st.builds("{}:{}".format, keys, below)
    return st.lists(below, max_size=3).map(lambda items: f"[{','.join(items)}]") | st.lists(
        members, max_size=3
    ).map(lambda items: "{" + ", ".join(items) + "}")


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A document, or something like one with some pieces put in or taken out."""
    text = draw(st.recursive(leaves, sound) | st.lists(st.sampled_from(PIECES)).map("".join))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        piece = draw(st.just("") | st.sampled_from(PIECES))
        text = text[:at] + piece + text[at + draw(st.integers(0, 1)) :]
    return text


def verdict(work: Callable[..., Any], *given: Any, **more: Any) -> tuple[str, ...]:
    """The value as text, in which 1, 1.0 and -0.0 differ; or the error's code and path."""
    try:
        return ("read", repr(work(*given, **more)))
    except MMRawError as error:
        return (error.code, error.path)


@settings(max_examples=300)
@given(texts(), st.sampled_from([1, 3, 256]), st.sampled_from([None, 2, 9, 4096]))
@example('{"a":1,"a":2,"b":9007199254740992}', 256, None)
@example('{"b":9007199254740992,"a":1,"a":2}', 256, None)
@example('[{"a":1,"a":2},x', 256, None)
@example('["\\ud800",x', 256, None)
@example('["\ud800"]', 256, None)
@example('{"a":"\ud800","a":9007199254740992}', 256, None)
@example("\ud800", 256, None)
@example('{"a":"\\\\ud800"}', 256, None)
@example('{"a":"\\\\\\ud800"}', 256, None)
@example('{"\\u003a":":","\\\\u003a":1}', 256, None)
@example('[{"a":1,"a":2},0.1e400,"x"]', 256, None)
@example('"\ud800' + "\\ud83d\\ude00", 256, None)
@example('[\\"[[[[', 3, None)
@example('["]","[","]"]', 1, None)
def test_values_and_refusals_are_the_same(text: str, depth: int, values: int | None) -> None:
    for given_text in (text, text.encode("utf-8", "surrogatepass")):
        wanted = verdict(reference_json.read, given_text, depth, values, "$.x")
        bounds: Any = {"max_depth": depth, "max_values": values, "path": "$.x"}
        assert verdict(parse_json, given_text, **bounds) == wanted
        if isinstance(given_text, bytes):
            checked = verdict(check_json, given_text, **bounds)
            assert checked == (wanted if wanted[0] != "read" else ("read", "None"))


@settings(max_examples=150)
@given(texts(), st.integers(1, 9))
def test_large_texts_are_read_in_windows_to_the_same_end(text: str, window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsontext, "LARGE", 5)
        patch.setattr(jsonbulk, "WINDOW", window)
        for depth in (1, 3, 256):
            wanted = verdict(reference_json.read, text, depth, None, "$")
            assert verdict(parse_json, text, max_depth=depth) == wanted
        for limit in range(6):
            data = text.encode("utf-8", "surrogatepass")
            counted = verdict(reference_json.read, text, 10**6, limit, "$")
            assert jsonbulk.holds_more(data, limit) == (counted[0] == "limit_exceeded")


@settings(max_examples=150)
@given(texts())
@example('{"a":"pixel_values"}')
@example('{"a":{"pixel_value\\u0073":1},"\\u0062":1}')
@example('["\\"pixel_values\\"",{"image_features" : 1}]')
def test_processed_tensors_are_found_wherever_they_are_a_key(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    wanted = verdict(reference_json.read, data, 256, 4096, "$")
    if wanted[0] != "read":
        assert verdict(check_raw_json, data, max_values=4096) == wanted
    else:
        found = reference_json.holds_key(json.loads(text), PROCESSED_KEYS)
        code = "processed_payload" if found else "read"
        assert verdict(check_raw_json, data, max_values=4096)[0] == code


@pytest.mark.parametrize("limit", [1, 63, 64, 65, 255, 256])
def test_nesting_is_counted_exactly(limit: int) -> None:
    for inner in ("", "[],[]", '"["', "{}", "]["):
        text = "[" * limit + inner + "]" * limit
        for depth in (limit - 1, limit, limit + 1):
            wanted = verdict(reference_json.read, text, depth, None, "$")
            assert verdict(parse_json, text, max_depth=depth) == wanted


@settings(max_examples=150)
@given(texts(), st.sampled_from([1, 2, 64]), st.sampled_from([2, 4, 4096]))
@example("[1,2]", 64, 3)
@example("[1,2]", 64, 4)
@example('"pixel_values"', 64, 4096)
def test_opaque_payloads_are_held_to_the_same_limits(text: str, depth: int, nodes: int) -> None:
    body = (
        f'{{"family":"another","fingerprint":"{"0" * 16}","mm_hash":"{"0" * 16}",'
        f'"modality":"image","payload":{{"x":{text}}},"raw_image_id":"a.png","run_id":"r"}}'
    )
    ref = "mmraw:v3:" + encode_base64url(body.encode("utf-8", "surrogatepass"))
    limits = Limits(payload_depth=depth, payload_nodes=nodes)
    found = verdict(parse_ref, ref, limits=limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastpath, "enabled", False)
        assert verdict(parse_ref, ref, limits=limits) == found
