"""The strict JSON reader, compared with one that looks at every character and value."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import reference_json
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmraw_protocol import Limits, MMRawError, parse_ref
from mmraw_protocol.wire.base64 import encode_base64url
from mmraw_protocol.wire.json import (
    TENSOR_KEYS,
    has_tensor_key,
    parse_json,
    parse_json_rows,
    read_json,
)

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


@settings(max_examples=150)
@given(texts())
@example('{"a":"pixel_values"}')
@example('{"a":{"pixel_value\\u0073":1},"\\u0062":1}')
@example('["\\"pixel_values\\"",{"image_features" : 1}]')
def test_tensor_keys_are_found_wherever_they_are_keys(text: str) -> None:
    if verdict(reference_json.read, text, 256, 4096, "$")[0] == "read":
        value = json.loads(text)
        assert has_tensor_key(value) == reference_json.holds_key(value, TENSOR_KEYS)


@pytest.mark.parametrize("limit", [1, 63, 64, 65, 255, 256])
def test_nesting_is_counted_exactly(limit: int) -> None:
    for inner in ("", "[],[]", '"["', "{}", "]["):
        text = "[" * limit + inner + "]" * limit
        for depth in (limit - 1, limit, limit + 1):
            wanted = verdict(reference_json.read, text, depth, None, "$")
            assert verdict(parse_json, text, max_depth=depth) == wanted


@settings(max_examples=150)
@given(texts(), st.sampled_from([2, 3, 64]), st.sampled_from([2, 4, 4096]))
@example("[1,2]", 64, 3)
@example("[1,2]", 64, 4)
@example('"pixel_values"', 64, 4096)
def test_opaque_payloads_keep_their_limits(text: str, depth: int, nodes: int) -> None:
    fields = {"family": "another", "fingerprint": "0" * 16, "mm_hash": "0" * 16}
    body = json.dumps({**fields, "modality": "image", "raw_image_id": "a.png", "run_id": "r"})
    ref = body[:-1] + f',"payload":{{"x":{text}}}}}'
    wanted = verdict(reference_json.read, ref, 256, nodes + 64, "$")
    found = verdict(
        parse_ref,
        "mmraw:v3:" + encode_base64url(ref.encode("utf-8", "surrogatepass")),
        limits=Limits(payload_depth=depth, payload_nodes=nodes),
    )
    if wanted[0] != "read":
        assert found == wanted
        return
    payload = json.loads(ref)["payload"]
    if reference_json.holds_key(json.loads(ref), TENSOR_KEYS):
        assert found[0] == "processed_payload"
    elif payload != {"x": json.loads(text)} or json.loads(ref).keys() - {*fields, "modality"} == {}:
        assert found[0] != "read"
    else:
        sizes = reference_json.depth_and_count(payload)
        kept = sizes[0] <= depth and sizes[1] <= nodes
        assert found[0] == ("read" if kept else "limit_exceeded")


def test_more_quotes_than_the_values_have_are_too_many_values_unread() -> None:
    """Four for each value: two of its key and two of its own."""
    for quotes, code in ((20, "invalid_json"), (22, "limit_exceeded")):
        with pytest.raises(MMRawError) as caught:
            read_json(b"[" + b'""' * (quotes // 2) + b"]", max_values=4)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "wrong",
    ['{"a":12345678901234567890}', '{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":1e999}', "[1]"],
)
def test_rows_are_read_together_only_if_each_is_read_alone(wrong: str) -> None:
    good = ['{"a":1}', '{"a":{"b":[2]}}', '{"a":-0.5,"b":"x:"}']
    assert parse_json_rows("\n".join(good).encode()) == [*map(parse_json, good)]
    assert parse_json_rows("\n".join([*good, wrong]).encode()) is None
