"""Written text is read back with the value's content; what cannot be read is never written."""

import datetime as dt
import decimal
import enum
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
import samples
from hypothesis import example, given
from hypothesis import strategies as st
from routes import counted, takes

from mmraw_protocol import (
    KimiK25Payload,
    MMRawError,
    QwenVlPayload,
    RawMMRef,
    build_features,
    format_ref,
    normalize_run_id,
    parse_item,
    parse_ref,
)
from mmraw_protocol.testing import ref_fields, ref_text
from mmraw_protocol.wire._generated.dialects import WRITABLE
from mmraw_protocol.wire.json import to_builtins


class Text(str):
    """A string of another class."""


class Digits(enum.Enum):
    """Values that look like a hash, and are of another type."""

    HASH = "0123456789abcdef"


class Number(enum.IntEnum):
    ONE = 1


class Row(NamedTuple):
    t: Any
    h: int
    w: int


def qwen(grid: Any) -> QwenVlPayload:
    """A payload whose grid nobody checked."""
    return QwenVlPayload(image_grid_thw=grid)


def kimi(tokens: Any) -> KimiK25Payload:
    """A payload whose token count nobody checked."""
    return KimiK25Payload(grid_thws=((1, 16, 16),), num_media_tokens=tokens)


#: Payloads that no type checker saw.
PAYLOADS: tuple[Any, ...] = (
    *map(kimi, (msgspec.UNSET, 4, True, 0, 1.0, "4", 2**21, Number.ONE)),
    *map(qwen, (samples.GRID, ((1, 16, 16),), [[1, 16, 16]], ((1, 16.0, 16),), ((1, -2, 2),))),
    *map(qwen, (((True, 2, 2),), ((1.0, 16, 16),), ((Number.ONE, 16, 16),), (Row(1, 16, 16),))),
    *map(qwen, ((Row(True, 16, 16),), ((1, 3, 2),), "1x2x2", (), ((1, 2),), None)),
    *map(qwen, (((1, 2, 2**53 + 2),), ((2**53, 2, 2),), {(1, 2, 2)})),
    {"image_grid_thw": [[1, 16, 16]]},
    {"image_grid_thw": [[1, 16, 16]], 1: 2},
    None,
)
#: Values that a caller may have put into a field past the type checker.
UNTYPED: tuple[Any, ...] = (
    None, True, 0, 1.0, "", ".", "run_x", "run_run_x", "con.png", "x" * 129, "a b", "é", "a:b",
    "\ud800", Text("exp42"), Text(samples.DIGEST), dt.date(2020, 1, 1), object(), [], {},
    samples.LABEL, samples.INLINE, samples.NAME, samples.DIGEST, "0" * 16, "A" * 32, "vision_chunk",
)  # fmt: skip
TEXTS = ("family", "fingerprint", "mm_hash", "modality", "raw_image_id", "raw_uri", "run_id")


def said(ref: RawMMRef) -> str:
    """The fields of a ref as JSON, without its dialect and the prefix of its run."""
    fields = {name: to_builtins(getattr(ref, name)) for name in (*TEXTS, "payload")}
    if isinstance(fields["run_id"], str):
        fields["run_id"] = fields["run_id"].removeprefix("run_")
    return json.dumps(fields, sort_keys=True)


def attempted(work: Callable[[], Any]) -> tuple[Any, MMRawError | None]:
    """The value, or the rejection, on which no other error hangs."""
    caught: MMRawError | None = None
    try:
        return work(), None
    except MMRawError as error:
        caught = error
    assert caught.__context__ is None
    return None, caught


def check_written(ref: RawMMRef, dialect: str) -> str | None:
    """The text, which says what the ref said; None where the ref is rejected."""
    text, error = attempted(lambda: format_ref(ref, dialect))
    if error is not None:
        return None
    assert said(parse_ref(text)) == said(ref)
    assert format_ref(parse_ref(text), dialect) == text
    return text


def ref_of(kind: str = "qwen_vl", /, **changes: Any) -> RawMMRef:
    """The sample's ref, with fields that nobody checked."""
    payload = kimi(64) if kind == "kimi_k25" else qwen((samples.GRID,))
    fields: dict[str, Any] = samples.ref_fields(family=kind) | {"payload": payload}
    return msgspec.structs.replace(RawMMRef(dialect="v3", **fields), **changes)


@pytest.mark.parametrize("dialect", WRITABLE)
@takes("written", "strict")
@given(data=st.data())
def test_a_ref_of_any_dialect_is_written(dialect: str, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(["v3", "v2", "v1", "unversioned-uri", "v3-runless"]))
    check_written(parse_ref(ref_text(data.draw(ref_fields(source)), source)), dialect)


@pytest.mark.parametrize("dialect", WRITABLE)
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_payloads_that_nobody_checked_are_written_right_or_not_at_all(
    payload: Any, dialect: str
) -> None:
    family = "kimi_k25" if isinstance(payload, KimiK25Payload) else "qwen_vl"
    check_written(ref_of(family, payload=payload), dialect)


@pytest.mark.parametrize("dialect", WRITABLE)
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", UNTYPED, ids=range(len(UNTYPED)))
def test_fields_that_nobody_checked_are_written_right_or_not_at_all(
    name: str, value: Any, dialect: str
) -> None:
    text = check_written(ref_of(**{name: value}), dialect)
    if not isinstance(value, str) and value is not None:
        assert text is None


#: Fields of other types whose JSON looks like that of a right one.
LOOK_RIGHT: tuple[tuple[str, Any], ...] = (
    *((name, b64decode("0123456789abcdef")) for name in ("fingerprint", "mm_hash")),
    *((name, Digits.HASH) for name in ("fingerprint", "mm_hash")),
    *((name, decimal.Decimal("1234567890123456")) for name in ("fingerprint", "mm_hash")),
    *((name, b"abc") for name in ("modality", "raw_image_id", "run_id")),
)


@pytest.mark.parametrize(("name", "value"), LOOK_RIGHT)
@pytest.mark.parametrize(
    "dialect",
    WRITABLE,
)
def test_only_strings_are_written_as_strings(name: str, value: Any, dialect: str) -> None:
    with pytest.raises(MMRawError) as caught:
        format_ref(ref_of(**{name: value}), dialect)
    assert caught.value.code == "invalid_type"


@pytest.mark.parametrize("dialect", WRITABLE)
@given(
    changes=st.dictionaries(
        st.sampled_from([*TEXTS, "payload"]), st.sampled_from(UNTYPED + PAYLOADS), max_size=3
    )
)
@example({"raw_uri": samples.LABEL})
@example({"raw_uri": samples.INLINE})
@example({"raw_uri": samples.INLINE, "raw_image_id": None})
def test_odd_refs_are_written_right_or_not_at_all(dialect: str, changes: dict[str, Any]) -> None:
    check_written(ref_of(**changes), dialect)


@pytest.mark.parametrize("family", ["qwen_vl", "kimi_k25"])
@pytest.mark.parametrize("dialect", WRITABLE)
def test_a_ref_of_a_built_in_family_is_written_without_reading_it_again(
    family: str, dialect: str
) -> None:
    with counted() as taken:
        assert format_ref(ref_of(family), dialect) == samples.ref(dialect, family)
    assert (taken["written"], taken["strict"]) == (1, 0)


@pytest.mark.parametrize("dialect", WRITABLE)
def test_a_run_is_written_without_its_prefix(dialect: str) -> None:
    assert format_ref(ref_of(run_id="run_exp42"), dialect) == samples.ref(dialect)
    assert normalize_run_id("run_exp42") == normalize_run_id("exp42") == "exp42"


def test_a_field_that_the_dialect_cannot_carry_is_named() -> None:
    for changes, path in (
        ({"raw_uri": samples.LABEL}, "$.raw_uri"),
        ({"raw_uri": samples.INLINE, "raw_image_id": None}, "$.raw_uri"),
    ):
        with pytest.raises(MMRawError) as caught:
            format_ref(ref_of(**changes), "v2")
        assert (caught.value.code, caught.value.path) == ("not_convertible", path)


#: Values of other types that equal, or look like, what an envelope may hold.
ODD_ITEMS: tuple[dict[str, Any], ...] = (
    *({"payload": payload} for payload in PAYLOADS),
    *({"payload": {"image_grid_thw": grid}} for grid in (
        ((1, 16, 16),), {(1, 16, 16)}, [{1, 2, 4}], [frozenset({1, 2, 4})], [[Number.ONE, 16, 16]],
        [[True, 16, 16]], [[1, 16, 16.0]], [Row(1, 16, 16)],
    )),
    {"version": True}, {"version": 1.0}, {"version": Number.ONE},
    {"kind": Text("prime_raw_mm_item")},
    {"layout_fingerprint": Digits.HASH}, {"layout_fingerprint": b64decode("0123456789abcdef")},
    {"layout_fingerprint": decimal.Decimal("1234567890123456")},
    {"raw_image_id": b"abc"}, {"raw_image_id": Text("cat.png")},
    {"raw_ref": b"x"}, {"vllm_modality": b"abc"}, {"vllm_modality": ""}, {"vllm_modality": None},
    {"family": Text("qwen_vl")}, {Text("extra"): 1}, {"pixel_values": []},
)  # fmt: skip


@pytest.mark.parametrize("changes", ODD_ITEMS, ids=range(len(ODD_ITEMS)))
def test_odd_envelopes_are_read_and_built_right_or_not_at_all(changes: dict[str, Any]) -> None:
    item = samples.envelope() | changes
    parsed, error = attempted(lambda: parse_item(item))
    body, other = attempted(lambda: build_features(samples.mm_data([item]), run_id="r"))
    assert (error and error.code) == (other and other.code)
    if error is not None:
        return
    assert parse_item(json.dumps(parsed.to_dict())) == parsed
    assert json.dumps(parsed.to_dict()) == json.dumps(
        {name: to_builtins(value) for name, value in sorted(item.items()) if value is not None}
        | ({"payload": to_builtins(item["payload"])})
    )
    assert parse_ref(body["kwargs_data"][parsed.feature_modality][0]).payload == parsed.payload


def test_a_key_of_another_class_is_a_key() -> None:
    item = samples.envelope(payload={Text("image_grid_thw"): [[1, 16, 16]]})
    assert parse_item(item).payload == qwen(((1, 16, 16),))


def test_an_envelope_that_is_rejected_is_not_built() -> None:
    item = samples.envelope(raw_ref="\ud800")
    for work in (parse_item, lambda item: build_features(samples.mm_data([item]), run_id="r")):
        _, error = attempted(lambda work=work: work(item))
        assert error is not None
        assert error.code == "invalid_encoding"
