"""Reading a large document takes at most three times its size in memory, and a little."""

import contextlib
import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from promises import broken_promise

from mmraw_protocol import MMRawError, parse_features, parse_item, parse_ref
from mmraw_protocol.wire.base64 import encode_base64, encode_base64url

SIZE = 1 << 20
MARGIN = 256 * 1024
HASH = "a3d1065af15153d19fd7e89a9eabbf52"
PRINT = "0123456789abcdef0123456789abcdef"
GRID = {"image_grid_thw": [[1, 16, 16]]}


def contents(size: int) -> dict[str, str]:
    """JSON values of that many bytes, each of a kind that costs some reader dearly."""

    def array(item: str) -> str:
        return "[" + ",".join([item] * (size // (len(item) + 1))) + "]"

    return {
        "empty lists": array("[]"),
        "empty objects": array("{}"),
        "nested lists": array("[[[]]]"),
        "numbers": array("1"),
        "short strings": array('"a"'),
        "a broken end": array("[]")[:-1] + ",x]",
        "many keys": "{" + ",".join(f'"{n:x}":1' for n in range(size // 9)) + "}",
        "one key again and again": "{" + ",".join(['"a":1'] * (size // 6)) + "}",
        "a long key": '{"' + "k" * size + '":1}',
        "a long string": '"' + "s" * size + '"',
        "escapes": '"' + "\\u0041" * (size // 6) + '"',
        "one wide escape": '"' + "a" * size + '\\ud83d\\ude00"',
        "one wide character": '"' + "a" * size + '\U0001f600"',
        "accents": '"' + "\u00e9" * (size // 2) + '"',
        "brackets in a string": '"' + "[{" * (size // 2) + '"',
        "backslashes": '"' + "\\\\" * (size // 2) + '"',
        "digits": "1" * size,
        "depth": "[" * (size // 2) + "]" * (size // 2),
        "space": " " * size + "1",
        "no end": '"' + "a" * size,
    }


def ref_text(body: str) -> str:
    """A v3 ref of a JSON text."""
    return "mmraw:v3:" + encode_base64url(body.encode("utf-8"))


def ref_body(payload: str = json.dumps(GRID), family: str = "qwen_vl", **more: str) -> str:
    """The JSON text of a ref; values are JSON texts."""
    fields = {"family": f'"{family}"', "fingerprint": f'"{PRINT}"', "mm_hash": f'"{HASH}"'}
    fields |= {"modality": '"image"', "payload": payload, "run_id": '"r"', **more}
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def item_text(payload: str = json.dumps(GRID), **more: str) -> str:
    """The JSON text of an envelope."""
    fields = {"family": '"qwen_vl"', "kind": '"prime_raw_mm_item"', "modality": '"image"'}
    fields |= {"layout_fingerprint": f'"{PRINT}"', "payload": payload, "version": "1", **more}
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def features_text(refs: list[str]) -> str:
    """The JSON text of a features body."""
    body = {
        "kwargs_data": {"image": refs},
        "mm_hashes": {"image": [HASH] * len(refs)},
        "mm_placeholders": {
            "image": [{"length": 64, "offset": 100 * at} for at in range(len(refs))]
        },
    }
    return json.dumps(body)


def lawful(size: int) -> Iterator[tuple[str, Callable[[Any], Any], str]]:
    """Documents that are accepted."""
    uri = json.dumps("data:image/png;base64," + encode_base64(bytes(range(256)) * (size // 342)))
    inline = ref_text(ref_body(raw_uri=uri))
    yield "an inline ref", parse_ref, inline
    yield "an inline ref, spaced", parse_ref, ref_text(" " + ref_body(raw_uri=uri))
    yield "an inline ref, escaped", parse_ref, ref_text(ref_body(raw_uri=uri.replace("/", "\\/")))
    yield "an inline ref, opaque", parse_ref, ref_text(ref_body("{}", "another", raw_uri=uri))
    yield "an inline envelope", parse_item, item_text(raw_uri=uri)
    yield "an inline body", parse_features, features_text([inline])
    one = ref_text(ref_body(raw_image_id='"a.png"'))
    yield "a body of many", parse_features, features_text([one] * 4000)
    data = ref_body(raw_image_data=uri).replace(',"run_id":"r"', "")
    yield "unversioned data", parse_ref, "mmraw:" + data


def hostile(size: int, kind: str = "") -> Iterator[tuple[str, Callable[[Any], Any], str]]:
    """Documents that are refused, of one kind or of all."""
    for name, content in contents(size).items():
        if kind not in ("", name):
            continue
        yield f"{name} in a ref's payload", parse_ref, ref_text(ref_body(content))
        opaque = ref_text(ref_body('{"x":' + content + "}", "another"))
        yield f"{name} in an opaque payload", parse_ref, opaque
        yield f"{name} as raw_uri", parse_ref, ref_text(ref_body(raw_uri=content))
        yield f"{name} beside a ref's fields", parse_ref, ref_text(ref_body(x=content))
        yield f"{name} as a ref", parse_ref, ref_text(content)
        yield f"{name} in an envelope's payload", parse_item, item_text(content)
        yield f"{name} beside an envelope's fields", parse_item, item_text(x=content)
        yield f"{name} as an envelope", parse_item, content
        body = features_text([]).replace("[]", content, 1)
        yield f"{name} in a body", parse_features, body
        yield f"{name} as a body", parse_features, content
    yield "base64 with a fault at its end", parse_ref, "mmraw:v3:" + "A" * size + "*"
    yield "a letter beyond ASCII", parse_ref, "mmraw:v3:" + "A" * size + "\u00e9"
    yield "colons", parse_ref, "mmraw:v2:" + ":" * size


@contextlib.contextmanager
def traced() -> Iterator[None]:
    """Counts allocations while it lasts."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def cost(reader: Callable[[Any], Any], text: str) -> tuple[int, MMRawError | None]:
    """Peak bytes beyond those of the text itself, and the refusal if there was one."""
    failed = None
    with traced():
        try:
            reader(text)
        except MMRawError as error:
            failed = error
        peak = tracemalloc.get_traced_memory()[1]
    return peak, failed


def test_what_is_accepted_costs_three_times_its_size_at_most() -> None:
    for size in (SIZE, 4 * SIZE):
        for name, reader, text in lawful(size):
            peak, failed = cost(reader, text)
            assert failed is None, (name, failed)
            assert peak <= 3 * len(text) + MARGIN, (name, round(peak / len(text), 2))


@pytest.mark.parametrize("kind", contents(100))
def test_what_is_refused_costs_three_times_its_size_at_most(kind: str) -> None:
    for name, reader, text in hostile(SIZE, kind):
        if not name.startswith(kind):
            continue
        peak, failed = cost(reader, text)
        assert failed is not None, name
        assert broken_promise(failed, text[:20000]) is None, (name, broken_promise(failed, text))
        length = len(text.encode("utf-8"))
        assert peak <= 3 * length + MARGIN, (name, round(peak / length, 2))


def test_long_base64_that_is_refused_costs_no_more() -> None:
    for name, reader, text in hostile(SIZE):
        if " in " not in name and " as " not in name and " beside " not in name:
            peak, failed = cost(reader, text)
            assert failed is not None, name
            assert peak <= 3 * len(text) + MARGIN, (name, round(peak / len(text), 2))
