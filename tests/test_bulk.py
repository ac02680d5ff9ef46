"""Many refs and lines at once: never another verdict than one by one."""

import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmraw_protocol import (
    DEFAULT_LIMITS,
    KimiK25Payload,
    Limits,
    MMRawError,
    QwenVlPayload,
    RawMMRef,
    convert_ref,
    format_ref,
    parse_ref,
)
from mmraw_protocol.files import ConvertJob, OnError, Report, check, rewrite
from mmraw_protocol.files.bulk import plain_parts
from mmraw_protocol.testing import near_misses, ref_text, refs
from mmraw_protocol.wire import fastpath
from mmraw_protocol.wire.ref import bulk
from mmraw_protocol.wire.schemas import schemas

HASH = "67f463a70fcc80e6b6c13d2563a723f2"


def stored(number: int, **changes: Any) -> RawMMRef:
    fields: dict[str, Any] = {
        "family": "qwen_vl",
        "fingerprint": "c2f096345b0d84e6bd2ee38b815cc329",
        "mm_hash": f"{number:032x}",
        "modality": "image",
        "payload": QwenVlPayload(image_grid_thw=((1, 2 + 2 * (number % 9), 16),)),
        "raw_image_id": f"{number:032x}.png",
        "run_id": "exp42",
    }
    return RawMMRef(**{**fields, **changes})


KIMI = stored(
    1, family="kimi_k25", payload=KimiK25Payload(grid_thws=((1, 4, 4),), num_media_tokens=4)
)
ODD_LIMITS = Limits(name_chars=6, raw_image_id_bytes=40, grid_patches=200, payload_bytes=40)


def is_taken(text: str, limits: Limits = DEFAULT_LIMITS) -> bool:
    try:
        parse_ref(text, limits=limits)
    except MMRawError:
        return False
    return True


@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_plain_refs_are_proved_and_converted_together(dialect: str) -> None:
    texts = [format_ref(stored(number), dialect) for number in range(40)]
    texts.append(format_ref(KIMI, dialect))
    assert bulk.are_plain(texts, DEFAULT_LIMITS)
    assert bulk.to_v3(texts, DEFAULT_LIMITS) == [convert_ref(text) for text in texts]


def spoilt(text: str, other: str, at: int) -> str:
    return text[: at % len(text)] + other + text[at % len(text) + 1 :]


texts = st.one_of(
    refs("v3"),
    refs("v2"),
    near_misses("v3").map(lambda pair: pair[1]),
    near_misses("v2").map(lambda pair: pair[1]),
    st.builds(
        spoilt,
        st.sampled_from([format_ref(stored(7), "v3"), format_ref(stored(7), "v2")]),
        st.sampled_from([*'AQgwz09-_+/=:. \n"\\', "", "é", "\ud800"]),
        st.integers(0, 400),
    ),
)


@given(
    st.lists(texts, min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from(["v3", "v2"]),
    st.sampled_from([DEFAULT_LIMITS, ODD_LIMITS]),
)
def test_what_is_proved_of_many_holds_for_each(
    found: list[str], plain: int, dialect: str, limits: Limits
) -> None:
    rows = [format_ref(stored(number), dialect) for number in range(plain)] + found
    if bulk.are_plain(rows, limits):
        assert all(is_taken(text, limits) for text in rows)
    converted = bulk.to_v3(rows, limits)
    if converted is not None:
        assert converted == [convert_ref(text, limits=limits) for text in rows]


@pytest.mark.parametrize(
    "fields",
    [
        {"mm_hash": "6"},
        {"mm_hash": HASH.upper()},
        {"raw_image_id": "nul.png"},
        {"raw_image_id": "-f463a70fcc80e6.png"},
        {"raw_image_id": "67f463a70fcc80e6."},
        {"raw_image_id": "67f463a70fcc80e6"},
        {"raw_image_id": "67f463a70fcc80e6." + "p" * 240},
        {"run_id": ""},
        {"run_id": "run_x"},
        {"run_id": "x" * 129},
        {"fingerprint": "c2"},
        {"family": "nobody"},
        {"payload": {"image_grid_thw": [[1, 3, 16]]}},
        {"payload": {"image_grid_thw": [[10**6, 16, 16]]}},
        {"payload": {"image_grid_thw": [[1.0, 16, 16]]}},
        {"payload": {"image_grid_thw": [[1, 16, 16]], "x": 1}},
    ],
)
@pytest.mark.parametrize("dialect", ["v3", "v2"])
def test_one_that_is_not_plain_spoils_the_proof(dialect: str, fields: dict[str, Any]) -> None:
    plain = {
        "family": "qwen_vl",
        "fingerprint": "c2f096345b0d84e6bd2ee38b815cc329",
        "mm_hash": HASH,
        "modality": "image",
        "payload": {"image_grid_thw": [[1, 16, 16]]},
        "raw_image_id": f"{HASH}.png",
        "run_id": "exp42",
    }
    rows = [ref_text(plain, dialect), ref_text({**plain, **fields}, dialect)]
    assert bulk.are_plain(rows[:1], DEFAULT_LIMITS)
    assert not bulk.are_plain(rows, DEFAULT_LIMITS)


REF = format_ref(stored(3))
ITEM: dict[str, Any] = schemas()["urn:mmraw:item:v1"]["$defs"]["ItemV1"]["examples"][0]
FEATURES = {
    "mm_hashes": {"image": [stored(3).mm_hash]},
    "mm_placeholders": {"image": [{"offset": 5, "length": 64}]},
    "kwargs_data": {"image": [REF]},
}
GOOD = [
    json.dumps(REF), REF, json.dumps({"id": 1, "ref": REF, "x": None}), json.dumps([[REF], 1.5]),
    "", "[]", json.dumps(FEATURES), json.dumps({"item": ITEM}), json.dumps({"a": 'say "no"\n'}),
    json.dumps({REF: 1}), json.dumps({"m": [{"c": [{"u": {"url": REF}}]}]}),
]  # fmt: skip
BAD = [
    '{"a": 1, "a": 2}', '{"a": "\\u0022\\u0022", "b": 1, "b": 2}', "9007199254740992", "1 2",
    "1e999", "[" * 300 + "]" * 300, '"\\ud800"', REF + "x", "mmraw:v9:x", json.dumps(REF + "x"),
    json.dumps({"\u006d": {"kind": ITEM["kind"]}}), '{"k\\u0069nd": "prime_raw_mm_item"}', "{", " ",
    json.dumps({**FEATURES, "kwargs_data": {"image": [REF, REF]}}), '"\\u006dmraw:v9:x"', "\x0c1",
    '{"kwargs_data": 1, "mm_hashe\\u0073": 2}', f"{REF}\x00", f'"{REF}\\"',
]  # fmt: skip


@given(
    st.lists(st.sampled_from(GOOD * 4 + BAD), max_size=40),
    st.sampled_from(["\n", "\r\n"]),
)
@example(GOOD * 60 + BAD[:1] + GOOD * 60, "\n")
@example(BAD * 30, "\n")
@example(GOOD * 60, "\r\n")
def test_lines_get_the_same_verdicts_in_bulk_as_one_by_one(rows: list[str], end: str) -> None:
    # The first line is short and whole: a file that begins with an open bracket is one document.
    data = end.join(["[]", *rows]).encode("utf-8", "surrogatepass")
    checked = check(io.BytesIO(data).read)
    with fastpath.disabled():
        assert check(io.BytesIO(data).read) == checked


OLD = [format_ref(stored(number), "v2") for number in range(30)]
ROWS = [
    *(json.dumps({"id": 1, "ref": ref}) for ref in OLD),
    *OLD[:3],
    REF,
    json.dumps([REF, "x", OLD[5]]),
    json.dumps({"prose": f'so "{OLD[4]}" it is', OLD[2]: 1}),
]
REFUSED = [json.dumps([OLD[0], OLD[1] + "x", OLD[2]]), "mmraw:v9:x", '"\\u006dmraw:v2:x"']


@given(
    st.lists(st.sampled_from(ROWS * 6 + REFUSED), max_size=60),
    st.sampled_from(["v3", "v2"]),
    st.sampled_from(["fail", "keep"]),
    st.sampled_from([1 << 20, 3000]),
)
@example(ROWS * 12 + REFUSED + ROWS * 12, "v3", "keep", 1 << 20)
@example(ROWS * 12 + REFUSED + ROWS * 12, "v3", "fail", 1 << 20)
def test_strings_are_rewritten_together_as_one_by_one(
    rows: list[str], to: str, on_error: OnError, block: int
) -> None:
    data = "\n".join(rows).encode()

    def converted() -> tuple[bytes, Report]:
        out: list[bytes] = []
        read = io.BytesIO(data).read
        job = ConvertJob(to=to)
        report = rewrite(read, out.append, job, on_error=on_error, block=block)
        return b"".join(out), report

    together = converted()
    with fastpath.disabled():
        assert converted() == together


@pytest.mark.parametrize("row", BAD)
def test_one_fault_is_found_among_good_lines(row: str) -> None:
    data = "\n".join(["[]", *GOOD, row, *GOOD]).encode("utf-8", "surrogatepass")
    checked = check(io.BytesIO(data).read)
    with fastpath.disabled():
        assert check(io.BytesIO(data).read) == checked


def test_what_is_good_is_proved_and_one_fault_is_found_among_many() -> None:
    good = [row.encode() for row in GOOD * 50]
    parts = list(plain_parts(good, DEFAULT_LIMITS))
    assert all(counts is not None for _, _, counts in parts)
    assert [start for start, _, _ in parts] == [0, *(end for _, end, _ in parts[:-1])]
    lines = [*good, b'{"a": 1, "a": 2}', *good]
    open_lines = sum(
        end - start for start, end, counts in plain_parts(lines, DEFAULT_LIMITS) if counts is None
    )
    assert 1 <= open_lines <= 8
