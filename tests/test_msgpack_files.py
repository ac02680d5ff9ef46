"""Files of MessagePack: read and rewritten by the commands that read files of JSON."""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from test_url_files import LENGTH, PLACES, conversation, said

from mmraw_protocol import MMRawError, get_adapter, mm_refs, parse_mm_refs, ref_messages
from mmraw_protocol.files.packed import packed_pieces
from mmraw_protocol.files.prefixes import StringPrefixes
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.msgpack import is_msgpack, parse_msgpack
from mmraw_protocol.wire.msgpack_stream import JsonText, json_lines

pack = msgspec.msgpack.encode

values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=40),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.dictionaries(st.text(max_size=40), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
documents = st.lists(
    st.one_of(st.lists(values, max_size=3), st.dictionaries(st.text(), values, max_size=3)),
    min_size=1,
    max_size=3,
)


class ImageRef(msgspec.Struct, array_like=True):
    """An image of a rollout, as a trainer's structs without keys have it."""

    url: str
    offset: int
    length: int


class Refs(msgspec.Struct, array_like=True):
    """The images of a rollout."""

    images: list[ImageRef]


class Sample(msgspec.Struct, array_like=True):
    """A rollout: tokens, what the trainer keeps of it, its images, tensors as bytes."""

    tokens: list[int]
    weights: list[float]
    mm_refs: Refs | None
    pixels: bytes = bytes(range(256))


def reader(data: bytes, seed: int) -> Callable[[int], bytes]:
    """Reads in pieces of odd sizes."""
    file, sizes = io.BytesIO(data), random.Random(seed)
    return lambda size: file.read(min(size, sizes.choice([1, 2, 7, 300])))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of the run's images."""
    return tmp_path / f"run_{samples.RUN_ID}" / "assets" / "images"


@pytest.fixture
def rollouts(place: Path, tmp_path: Path) -> Path:
    """Samples, one of them with a ref of a stored image."""
    messages = ref_messages(conversation(), get_adapter("qwen_vl"), store=LocalStore(place))
    ((rows,),) = (mm_refs(messages, PLACES, form="array"),)
    refs = Refs([ImageRef(*row) for row in rows])
    tokens = list(range(70_000))
    batch = [Sample(tokens, [0.5, float("-inf")], None), Sample(tokens, [], refs)]
    file = tmp_path / "rollouts.msgpack"
    file.write_bytes(pack(batch))
    return file


def samples_in(file: Path) -> list[Sample]:
    """The samples of a file."""
    return msgspec.msgpack.decode(file.read_bytes(), type=list[Sample])


@given(documents, st.integers(0, 99))
def test_documents_are_read_as_the_lines_of_json_that_say_the_same(
    rows: list[Any], seed: int
) -> None:
    text = JsonText(reader(b"".join(map(pack, rows)), seed))
    lines: list[bytes] = []
    while line := text.readline(1 << 30):
        lines.append(line)
    assert [json.loads(line) for line in lines] == rows


@given(documents, st.integers(0, 99))
def test_what_is_not_looked_for_stays_byte_for_byte(rows: list[Any], seed: int) -> None:
    data = b"".join(map(pack, rows))
    pieces = packed_pieces(reader(data, seed), StringPrefixes(["mmraw:"], keys=True), most=1000)
    assert b"".join(piece if isinstance(piece, bytes) else piece.raw for piece in pieces) == data


def test_strings_are_found_with_their_keys_wherever_they_stand() -> None:
    row = {"mmraw:key": 1, "a": ["mmraw:x", b"mmraw:y"], "b": {"c": "mmraw:z"}, "d": "MMRAW:"}
    long = "mmraw:" + "x" * 2000
    pieces = packed_pieces(
        reader(pack([row, long]), 1), StringPrefixes(["mmraw:"], keys=True), most=1000
    )
    found = [(one.text, one.key) for one in pieces if not isinstance(one, bytes)]
    assert found == [("mmraw:x", None), ("mmraw:z", "c"), (None, None)]


#: A value of every format that has a size of its own, by the specification's table.
FORMATS = {
    "c0": "c0", "c2": "c2", "c3": "c3", "7f": "7f", "ff": "ff", "float 32": "ca 3f800000",
    "float 64": "cb 3ff0000000000000", "uint 8": "cc 01", "uint 16": "cd 0001",
    "uint 32": "ce 00000001", "uint 64": "cf 0000000000000001", "int 8": "d0 ff",
    "int 16": "d1 ffff", "int 32": "d2 ffffffff", "int 64": "d3 ffffffffffffffff",
    "bin 8": "c4 02 9192", "bin 16": "c5 0002 9192", "bin 32": "c6 00000002 9192",
    "ext 8": "c7 02 01 9192", "ext 16": "c8 0002 01 9192", "ext 32": "c9 00000002 01 9192",
    "fixext 1": "d4 01 91", "fixext 2": "d5 01 9192", "fixext 4": "d6 01 91929394",
    "fixext 8": "d7 01 9192939495969798", "fixext 16": "d8 01 91929394959697989192939495969798",
    "str 8": "d9 01 61", "str 16": "da 0001 61", "str 32": "db 00000001 61", "fixstr": "a1 61",
    "array 16": "dc 0001 01", "array 32": "dd 00000001 01", "fixarray": "91 01",
    "map 16": "de 0001 a161 01", "map 32": "df 00000001 a161 01", "fixmap": "81 a161 01",
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_what_follows_a_value_of_any_format_is_read(name: str) -> None:
    packed = bytes.fromhex(FORMATS[name])
    # Numbers are taken together in an array, and one by one in a map.
    data = b"\x92" + b"\x82\xa1v" + packed + b"\xa1e\xa3end" + b"\x92" + packed + b"\xa3end"
    (line,) = b"".join(json_lines(io.BytesIO(data).read)).splitlines()
    fields, (value, end) = json.loads(line)
    assert (fields["v"], fields["e"], end) == (value, "end", "end")
    unpacked = msgspec.msgpack.decode(packed, ext_hook=lambda code, data: b"")
    if not isinstance(unpacked, bytes):
        assert value == unpacked


@given(documents, st.data())
def test_documents_that_are_cut_off_are_refused(rows: list[Any], data: st.DataObject) -> None:
    whole = pack(rows)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(MMRawError) as caught:
        list(json_lines(io.BytesIO(cut).read))
    assert caught.value.code == "invalid_msgpack"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x91\xc1", "invalid_msgpack"),
        (b"\x91" * 257, "limit_exceeded"),
        (b"\x81\x01\x01", "invalid_type"),
        (b"\x91\xa1\xff", "invalid_encoding"),
        (b"\xdd\xff\xff\xff\xff", "invalid_msgpack"),
        (b"\x91\xdb\xff\xff\xff\xff", "invalid_msgpack"),
    ],
)
def test_what_is_no_messagepack_is_refused_with_its_byte(
    data: bytes, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.msgpack"
    file.write_bytes(data)
    (refusal,) = said(capsys, "validate", file, code=1)["refusals"]
    assert (refusal["kind"], refusal["code"]) == ("document", code)
    assert "byte" in refusal["message"]
    if code != "invalid_encoding":
        (row,) = said(capsys, "convert", file, "--in-place", code=1)["files"]
        assert row["error"]["code"] == code
        assert file.read_bytes() == data


@pytest.mark.parametrize("processes", ["1", "2"])
def test_validate_finds_mm_refs_in_structs_without_keys(
    processes: str, rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(capsys, "validate", rollouts, "-p", processes)
    assert (found["checked"], found["refused"]) == ({"mm_refs": 1}, 0)
    batch = samples_in(rollouts)
    assert batch[1].mm_refs is not None
    batch[1].mm_refs.images[0].length = 0
    rollouts.write_bytes(pack(batch))
    found = said(capsys, "validate", rollouts, "-p", processes, code=1)
    assert found["refused_by_code"] == {"placeholder_invalid": 1}


def test_convert_offload_and_inline_change_urls_and_nothing_else(
    rollouts: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--store", place, "--run-id", samples.RUN_ID, "--in-place")
    first = samples_in(rollouts)[0]
    (row,) = said(capsys, "inline", rollouts, *options)["files"]
    assert (row["inlined"], row["refused"]) == (1, 0)
    batch = samples_in(rollouts)
    (image,) = parse_mm_refs(pack(batch[1].mm_refs)).images
    assert image.ref is not None
    assert image.ref.is_inline
    assert batch[0] == first
    said(capsys, "offload", rollouts, *options)
    before = rollouts.read_bytes()
    assert len(before) < len(pack(batch))
    said(capsys, "convert", rollouts, "--to", "v2", *options)
    (image,) = parse_mm_refs(pack(samples_in(rollouts)[1].mm_refs)).images
    assert image.ref is not None
    assert image.ref.dialect == "v2"
    said(capsys, "convert", rollouts, "--to", "v3", *options)
    assert rollouts.read_bytes() == before


def test_inspect_and_materialize_read_mm_refs(
    rollouts: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mm_refs.msgpack"
    file.write_bytes(pack(samples_in(rollouts)[1].mm_refs))
    shown = said(capsys, "inspect", file)
    assert (shown["kind"], shown["value"]["images"][0]["length"]) == ("mm_refs", LENGTH)
    (picture,) = said(capsys, "materialize", file, "--store", place, "--out", tmp_path / "out")
    assert (picture["width"], picture["height"]) == (101, 67)


@pytest.mark.parametrize("kind", [str, bytes])
def test_fsck_and_gc_read_what_must_stay(
    kind: type[Any], rollouts: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(place)
    (kept,) = store.list()
    lost = store.put(samples.JPEG)
    if kind is bytes:
        # The name stands in binary data, beside another image's ref.
        kept, lost = lost, kept
        ref = samples.ref(raw_image_id="another.png")
        rollouts.write_bytes(pack([{"ref": ref, "log": f"see {kept}".encode()}]))
    at = ("--store", place)
    gc = ("--older-than", "0s", "--delete")
    said(capsys, "store", "gc", rollouts, *at, *gc)
    assert list(store.list()) == [kept]
    if kind is str:
        said(capsys, "store", "fsck", rollouts, *at)
        store.delete(kept)
        assert said(capsys, "store", "fsck", rollouts, *at, code=1)["missing"]
        rollouts.write_bytes(rollouts.read_bytes()[:-1])
        (problem,) = said(capsys, "store", "fsck", rollouts, *at, code=1)["problems"]
        assert problem["code"] == "invalid_msgpack"


@pytest.mark.parametrize("first", [0x80, 0x8F, 0x90, 0x9F, 0xDC, 0xDF])
def test_the_first_byte_of_an_array_or_object_says_messagepack(first: int) -> None:
    assert is_msgpack(bytes([first]))


@pytest.mark.parametrize("first", [*b"[{ ", 0x7F, 0xA0, 0xDB, 0xE0])
def test_any_other_first_byte_is_json(first: int) -> None:
    assert not is_msgpack(bytes([first]))


@pytest.mark.parametrize("count", [0, 15, 16, 31, 32])
def test_sizes_on_both_sides_of_the_short_forms_are_read(count: int) -> None:
    texts = [f"{number:x}" for number in range(count)]
    document = [dict.fromkeys(texts, 1), texts, "x" * count]
    line = b"".join(json_lines(io.BytesIO(pack(document)).read))
    assert json.loads(line) == document


def test_a_stream_of_json_gives_no_more_bytes_than_were_asked_for() -> None:
    stream = JsonText(io.BytesIO(b'{"a": 1}').read)
    assert [stream.read(1), stream.read(2)] == [b"{", b'"a']


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_documents_of_images_have_32_levels(wrap: Callable[[Any], Any]) -> None:
    document: Any = 1
    for _ in range(32):
        document = wrap(document)
    assert parse_msgpack(pack(document), max_values=1000) == document
    with pytest.raises(MMRawError, match="limit_exceeded"):
        parse_msgpack(pack(wrap(document)), max_values=1000)
