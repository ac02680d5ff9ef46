"""The fast paths and the careful ones: the same values, the same refusals, for anything."""

import datetime as dt
import enum
import itertools
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
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
    format_ref,
    parse_ref,
)
from mmraw_protocol.testing import near_misses, ref_fields, ref_text, refs
from mmraw_protocol.wire import base64 as base64text
from mmraw_protocol.wire import fastpath
from mmraw_protocol.wire._generated import plain, types
from mmraw_protocol.wire.base64 import encode_base64, encode_base64url
from mmraw_protocol.wire.ref import fast, inline, read_ref, stored

FIELDS = {
    "family": "qwen_vl",
    "fingerprint": "c2f096345b0d84e6bd2ee38b815cc329",
    "mm_hash": "67f463a70fcc80e6b6c13d2563a723f2",
    "modality": "image",
    "payload": {"image_grid_thw": [[1, 16, 16]]},
    "raw_image_id": "67f463a70fcc80e6.png",
    "run_id": "exp42",
}
KIMI = {"grid_thws": [[1, 4, 4]], "num_media_tokens": 4}
LABEL = "file:///data/run_exp42/assets/images/67f463a70fcc80e6.png"
INLINE = "data:image/png;base64,iVBORw0KGgo="

TIGHT = Limits(
    v2_ref_chars=180,
    payload_bytes=30,
    inline_image_bytes=8,
    grid_patches=64,
    name_chars=5,
    raw_image_id_bytes=20,
)


def outcome(work: Callable[[], Any]) -> Any:
    """The value, or code, path and message of the refusal."""
    caught: MMRawError | None = None
    try:
        return work()
    except MMRawError as error:
        caught = error
    assert caught.__context__ is None
    return caught.code, caught.path, caught.message


def both(work: Callable[[], Any]) -> Any:
    """The outcome, after it was found to be the same either way."""
    fast_way = outcome(work)
    with fastpath.disabled():
        careful_way = outcome(work)
    assert fast_way == careful_way
    return fast_way


def text_of(document: Any, **spelling: Any) -> str:
    """A document under the v3 tag; `spelling` is for json.dumps."""
    options = {"separators": (",", ":"), "sort_keys": True} | spelling
    return "mmraw:v3:" + encode_base64url(json.dumps(document, **options).encode())


def raw_v3(text: str) -> str:
    return "mmraw:v3:" + encode_base64url(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@given(data=st.data(), limits=st.sampled_from([DEFAULT_LIMITS, TIGHT]))
def test_refs_are_read_alike(dialect: str, data: st.DataObject, limits: Limits) -> None:
    text = data.draw(refs(dialect) | near_misses(dialect).map(lambda pair: pair[1]))
    both(lambda: parse_ref(text, limits=limits))


#: Values that stand where another belongs.
ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            None, True, 0, -1, 1.0, 2**53, "", ".", "..", "run_x", "run_run_x", ".x", "-x.png",
            "con.png", "COM1.png", "com10.png", "x" * 129, "x" * 256, "a" * 200 + ".png", "A" * 32,
            "a" * 15, "a" * 129, "0" * 64, "é", "a b", "a\n", 'a"b', "a\\b", "a.", "abcde.", [], {},
            LABEL, LABEL.replace("67f4", "77f4"), LABEL + "?x", "file://localhost" + LABEL[7:],
            "file:///~a/67f463a70fcc80e6.png", "file:///a b/67f463a70fcc80e6.png", INLINE,
            INLINE.replace("o=", "p="), INLINE + "=", INLINE.replace("png", "tiff"),
            "data:image/png;base64,", "data:image/png;base64,iVBORw0KGgoAAAA=", KIMI,
            {"grid_thws": [[1, 4, 4]]}, {"image_grid_thw": [[1, 16, 18]]},
            {"image_grid_thw": [[1, 3, 4]]}, {"image_grid_thw": [[1, 2048, 2048]]},
            {"image_grid_thw": [[1, 2, 2], [1, 2, 2]]}, {"image_grid_thw": [[0, 2, 2]]},
            {"image_grid_thw": [[1, 2, 2]], "x": 1}, {"pixel_values": 1},
        ]
    ),
    st.text(max_size=4),
)  # fmt: skip


@given(
    changes=st.dictionaries(
        st.sampled_from([*FIELDS, "raw_uri", "dialect", "other"]), ODD, max_size=3
    ),
    absent=st.sets(st.sampled_from(sorted(FIELDS)), max_size=1),
    kimi=st.booleans(),
    indent=st.sampled_from([None, None, 1]),
    limits=st.sampled_from([DEFAULT_LIMITS, TIGHT]),
)
@example({"raw_uri": LABEL}, set(), False, None, DEFAULT_LIMITS)
@example({"raw_uri": INLINE}, set(), False, None, DEFAULT_LIMITS)
@example({"raw_uri": INLINE, "run_id": INLINE}, set(), False, None, DEFAULT_LIMITS)
@example({"run_id": INLINE}, set(), False, None, DEFAULT_LIMITS)
@example({"raw_uri": "", "run_id": INLINE}, set(), False, None, DEFAULT_LIMITS)
@example({"raw_uri": ""}, set(), False, None, DEFAULT_LIMITS)
@example({"raw_uri": None}, set(), False, None, DEFAULT_LIMITS)
@example({"raw_image_id": None}, set(), False, None, DEFAULT_LIMITS)
@example({"family": "kimi_k25"}, set(), False, None, DEFAULT_LIMITS)
@example({"family": "other"}, set(), False, None, DEFAULT_LIMITS)
@example({"dialect": "v3"}, set(), False, None, DEFAULT_LIMITS)
def test_odd_fields_are_read_alike(
    changes: dict[str, Any], absent: set[str], kimi: bool, indent: int | None, limits: Limits
) -> None:
    base: dict[str, Any] = FIELDS | ({"family": "kimi_k25", "payload": KIMI} if kimi else {})
    document = {key: value for key, value in (base | changes).items() if key not in absent}
    text = text_of(document, indent=indent)
    both(lambda: parse_ref(text, limits=limits))


CANONICAL = json.dumps(FIELDS, sort_keys=True, separators=(",", ":"))
#: Pieces of JSON that another reader might take for the same, or for something else.
SPLICES = (
    '"run_id":"exp42",',
    '"run_id":"other",',
    '"raw_uri":null,',
    '"family":"kimi_k25",',
    '"mm_hash":"00000000000000000000000000000000",',
    '"unknown":1,',
    '"r\\u0075n_id":"other",',
    " ",
    "\ufeff",
    "\\u0065",
    "\\",
    '"',
    ",",
    "é",
    "\ud800",
    "1",
    ".0",
    "e0",
    "-",
    "null",
    "{}",
    "[",
    "}",
    "\x00",
)


@given(
    st.lists(
        st.tuples(st.integers(0, len(CANONICAL)), st.sampled_from(SPLICES), st.integers(0, 3)),
        min_size=1,
        max_size=2,
    )
)
@example([(1, '"run_id":"exp42",', 0)])
@example([(1, '"run_id":"other",', 0), (CANONICAL.index('"raw_image_id"'), "", 38)])
def test_spliced_json_is_read_alike(splices: list[tuple[int, str, int]]) -> None:
    text = CANONICAL
    for at, piece, cut in splices:
        text = text[:at] + piece + text[at + cut :]
    both(lambda: parse_ref(raw_v3(text)))


@given(st.data(), st.sampled_from(["v3", "v2"]), st.sampled_from([DEFAULT_LIMITS, TIGHT]))
def test_refs_are_written_alike(data: st.DataObject, dialect: str, limits: Limits) -> None:
    source = data.draw(st.sampled_from(["v3", "v2", "v1", "unversioned-uri", "v3-runless"]))
    ref = parse_ref(ref_text(data.draw(ref_fields(source)), source))
    text = both(lambda: format_ref(ref, dialect, limits=limits))
    if isinstance(text, str):
        with fastpath.disabled():
            assert parse_ref(text, limits=limits).payload == ref.payload


class Color(enum.Enum):
    RED = "red"


class Text(str):
    """A string of another class."""


GRID = ((1, 16, 16),)


def qwen(grid: Any) -> QwenVlPayload:
    """A payload whose grid nobody checked."""
    return QwenVlPayload(image_grid_thw=grid)


def kimi(tokens: Any) -> KimiK25Payload:
    """A payload whose token count nobody checked."""
    return KimiK25Payload(grid_thws=((1, 4, 4),), num_media_tokens=tokens)


#: Payloads that no type checker saw.
PAYLOADS: tuple[Any, ...] = (
    *map(kimi, (msgspec.UNSET, True, 0, 1.0, "4", 2**21)),
    *map(qwen, (GRID, [[1, 16, 16]], ((1, 16.0, 16),), ((1, -2, 2),), ((True, 2, 2),))),
    *map(qwen, (((1, 3, 2),), "1x2x2", (), ((1, 2),), ((1, 2, 2**53 + 2),), None)),
)
#: What a caller may have put into a ref that no type checker saw.
UNTYPED: st.SearchStrategy[Any] = ODD | st.sampled_from(
    (b"abcd", Color.RED, dt.date(2020, 1, 1), object(), Text("exp42"), "\ud800", *PAYLOADS)
)


class Number(enum.IntEnum):
    ONE = 1


class Row(NamedTuple):
    t: Any
    h: int
    w: int


def equals() -> list[tuple[str, Any]]:
    """For each field of a plain ref a value that is equal to it, and of another type."""
    grids = ((True, 16, 16), (1.0, 16, 16), (Number.ONE, 16, 16), Row(1, 16, 16), Row(True, 16, 16))
    texts = ("family", "fingerprint", "mm_hash", "modality", "raw_image_id", "run_id")
    return [
        *(("payload", qwen((grid,))) for grid in grids),
        *((name, Text(FIELDS[name])) for name in texts),
    ]


@pytest.mark.parametrize(("name", "value"), equals())
def test_what_is_remembered_of_a_value_is_not_taken_for_its_equals(name: str, value: Any) -> None:
    ref = parse_ref(text_of(FIELDS))
    assert stored.write(ref, DEFAULT_LIMITS) == text_of(FIELDS)
    odd = msgspec.structs.replace(ref, **{name: value})
    assert odd == ref
    both(lambda: format_ref(odd))


def test_what_is_remembered_is_bounded() -> None:
    ref = parse_ref(text_of(FIELDS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "_REMEMBERED", 3)
        for number in range(10):
            grid = ((1, 2, 2 + 2 * number),)
            odd = msgspec.structs.replace(ref, payload=qwen(grid), run_id=f"run{number}")
            assert parse_ref(format_ref(odd)) == odd
        assert len(stored._templates) <= 3
        assert len(stored.grids) <= 3


HASH = "67f463a70fcc80e6b6c13d2563a723f2"


STEMS = (
    HASH, HASH[:16], HASH * 2, HASH[:15], HASH[:17], HASH.upper(), HASH[:30] + "_g", HASH + " ", "",
    "é" * 32, HASH * 4 + "00",
)  # fmt: skip
ENDINGS = (".jpg", ".png", ".gif", ".webp", ".JPG", "", ".jpg.jpg", ".jp")
HASHES: tuple[Any, ...] = (
    HASH, HASH[:16], HASH[:15], HASH[:17], HASH * 4, HASH * 4 + "0", HASH.upper(),
    HASH[:30] + " f", "g" * 32, b"0" * 32,
)  # fmt: skip


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, TIGHT])
@pytest.mark.parametrize("ending", ENDINGS)
def test_hashes_and_names_are_written_alike(ending: str, limits: Limits) -> None:
    ref = parse_ref(text_of({**FIELDS, "run_id": "r"}))
    for stem, mm_hash in itertools.product(STEMS, HASHES):
        odd = msgspec.structs.replace(ref, mm_hash=mm_hash, raw_image_id=stem + ending)
        both(lambda odd=odd: format_ref(odd, limits=limits))


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_odd_payloads_are_written_alike(payload: Any, dialect: str) -> None:
    kimi = isinstance(payload, KimiK25Payload)
    family = "kimi_k25" if kimi else "qwen_vl"
    typed: dict[str, Any] = {**FIELDS, "payload": payload, "family": family}
    ref = RawMMRef(**typed)
    text = both(lambda: format_ref(ref, dialect))
    if isinstance(text, str):
        assert parse_ref(text).payload == msgspec.convert(
            msgspec.to_builtins(payload), type(payload)
        )


@given(
    changes=st.dictionaries(
        st.sampled_from([*FIELDS, "raw_uri", "dialect"]), UNTYPED, min_size=1, max_size=2
    ),
    dialect=st.sampled_from(["v3", "v2"]),
)
@example({"run_id": b"abcd"}, "v3")
@example({"raw_uri": LABEL}, "v3")
@example({"raw_uri": LABEL}, "v2")
@example({"raw_uri": INLINE}, "v3")
@example({"raw_uri": INLINE, "raw_image_id": None}, "v3")
@example({"run_id": Text("exp42")}, "v3")
def test_odd_refs_are_written_alike(changes: dict[str, Any], dialect: str) -> None:
    typed: dict[str, Any] = FIELDS | {"payload": QwenVlPayload(image_grid_thw=GRID)}
    ref = RawMMRef(**{"dialect": "v3", **typed, **changes})
    # An unknown dialect fails in the careful way with KeyError: no ref holds one.
    if ref.dialect in ("v2", "v3"):
        both(lambda: format_ref(ref, dialect))


def ordinary() -> list[str]:
    """Refs as renderers write them: stored, labelled, inline; both families."""
    kimi = FIELDS | {"family": "kimi_k25", "modality": "vision_chunk", "payload": KIMI}
    image = "data:image/jpeg;base64," + encode_base64(bytes(range(256)) * 100)
    inline = {**FIELDS, "raw_uri": image}
    del inline["raw_image_id"]
    rows = [FIELDS, kimi, FIELDS | {"raw_uri": LABEL}, FIELDS | {"raw_uri": INLINE}, inline]
    return [*map(text_of, rows), ref_text(FIELDS, "v2"), ref_text(kimi, "v2")]


@pytest.mark.parametrize("text", ordinary(), ids=range(7))
def test_ordinary_refs_take_the_fast_path(text: str) -> None:
    read = fast.parse_v2 if text.startswith("mmraw:v2:") else fast.parse_v3
    ref = read(text, DEFAULT_LIMITS)
    assert ref is not None
    with fastpath.disabled():
        assert ref == parse_ref(text)
    assert fast.write(ref, ref.dialect, DEFAULT_LIMITS) == text


@pytest.mark.parametrize("name", ["Family", "Modality", "Fingerprint", "MmHash"])
@given(text=st.text(st.characters(max_codepoint=255), max_size=140))
def test_character_tables_say_what_the_patterns_say(name: str, text: str) -> None:
    rule = getattr(plain, {"MmHash": "MM_HASH"}.get(name, name.upper()))
    pattern = next(m.pattern for m in getattr(types, name).__metadata__ if m.pattern)
    most = 128 if name in ("Family", "Modality") else rule.most
    fits = rule.least <= len(text) <= rule.most
    fits = fits and not text.encode("latin-1").translate(None, rule.allowed)
    assert fits == (re.search(pattern, text) is not None and len(text) <= most)


def test_tables_and_plain_structs_cover_what_the_typed_ones_hold() -> None:
    for name in ("RefV3QwenVl", "RefV3KimiK25", "ItemV1QwenVl", "ItemV1KimiK25", "Features"):
        typed, bare = getattr(types, name), getattr(plain, f"Plain{name}")
        assert typed.__struct_encode_fields__ == bare.__struct_encode_fields__
        assert typed.__struct_config__.tag == bare.__struct_config__.tag
        assert typed.__struct_config__.forbid_unknown_fields
        assert bare.__struct_config__.forbid_unknown_fields
        assert msgspec.structs.fields(typed)[0].name == msgspec.structs.fields(bare)[0].name


def verdict(text: str) -> RawMMRef:
    """What is read of a text whose image is not held."""
    ref, _ = read_ref(text, lambda _: None, keep_uri=False)
    return msgspec.structs.replace(ref, raw_uri=None) if ref.is_inline else ref


@given(
    size=st.integers(30, 700),
    stored=st.booleans(),
    run_id=st.text("ab", min_size=1, max_size=13),
    piece=st.sampled_from([48, 96]),
    change=st.tuples(st.integers(0, 2**16), st.sampled_from('AQz+/-_="\\ é'), st.booleans()),
)
def test_images_are_read_and_written_in_pieces_alike(
    size: int, stored: bool, run_id: str, piece: int, change: tuple[int, str, bool]
) -> None:
    data = bytes(range(256))[:size] * (size // 256 + 1)
    uri = "data:image/webp;base64," + encode_base64(data)
    fields: dict[str, Any] = {**FIELDS, "raw_uri": uri, "run_id": run_id}
    if not stored:
        del fields["raw_image_id"]
    text = text_of(fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "_SMALL", 200)
        for name, value in (("PIECE", piece), ("_HEAD", 800), ("_TAIL", 80)):
            patch.setattr(inline, name, value)
        patch.setattr(base64text, "PIECE", piece)
        pieces: list[bytes] = []
        ref = fast.parse_v3(text, DEFAULT_LIMITS, pieces.append)
        assert ref is not None
        assert ref.raw_uri == uri
        assert b"".join(pieces) == data
        pieces.clear()
        found, was_read = read_ref(text, pieces.append, keep_uri=False)
        assert was_read
        assert b"".join(pieces) == data
        assert msgspec.structs.replace(found, raw_uri=uri) == ref
        assert fast.write(ref, "v3", DEFAULT_LIMITS) == text
        both(lambda: parse_ref(text))
        both(lambda: format_ref(ref))
        at, char, inner = change
        if inner:
            at %= len(uri)
            broken = uri[:at] + char + uri[at + 1 :]
            both(lambda: parse_ref(text_of({**fields, "raw_uri": broken})))
            both(lambda: verdict(text_of({**fields, "raw_uri": broken})))
            both(lambda: format_ref(msgspec.structs.replace(ref, raw_uri=broken)))
        else:
            at %= len(text)
            both(lambda: parse_ref(text[:at] + char + text[at + 1 :]))
            both(lambda: verdict(text[:at] + char + text[at + 1 :]))
