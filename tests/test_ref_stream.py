"""Refs that carry their image: read in pieces, they say what they say when read at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from routes import takes, without_pybase64

from mmraw_protocol import Limits, MMRawError, RawMMRef, format_ref, parse_ref
from mmraw_protocol.wire import base64 as base64_module
from mmraw_protocol.wire import ref_read, ref_stream
from mmraw_protocol.wire.ref_stream import read_ref


def outcome(text: str, *, in_pieces: bool) -> Any:
    """Returns the content of a text without its image, or the error."""
    try:
        ref: RawMMRef = read_ref(text, _drop, keep_uri=False)[0] if in_pieces else parse_ref(text)
    except MMRawError as error:
        return error.code, error.path, error.message
    return msgspec.structs.replace(ref, raw_uri=None) if ref.is_inline else ref


@contextmanager
def small_pieces(size: int) -> Iterator[None]:
    """Short texts are read in pieces too, of so many characters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ref_read, "_LONGEST_SHORT", 200)
        for name, value in (("PIECE", size), ("_HEAD", 800), ("_TAIL", 80)):
            patch.setattr(ref_stream, name, value)
        patch.setattr(base64_module, "PIECE", size)
        yield


def _drop(_: bytes) -> None:
    """Holds no image."""


def text_of(fields: dict[str, Any], spelling: str = "") -> str:
    """A v3 ref; with blanks behind its JSON it is not canonical."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":")) + spelling
    return "mmraw:v3:" + samples.encoded(text)


@takes("canonical", "strict")
@given(
    size=st.integers(30, 700),
    stored=st.booleans(),
    run_id=st.text("ab", min_size=1, max_size=13),
    piece=st.sampled_from([48, 96]),
    change=st.tuples(st.integers(0, 2**16), st.sampled_from('AQz+/-_="\\ é'), st.booleans()),
)
def test_images_of_any_size_are_read_in_pieces(
    size: int, stored: bool, run_id: str, piece: int, change: tuple[int, str, bool]
) -> None:
    data = bytes(range(256))[:size] * (size // 256 + 1)
    uri = samples.data_url(data, "webp")
    fields = samples.ref_fields(raw_uri=uri, run_id=run_id)
    if not stored:
        del fields["raw_image_id"]
    text = text_of(fields)
    at, char, is_inner = change
    if is_inner:
        at %= len(uri)
        broken = text_of({**fields, "raw_uri": uri[:at] + char + uri[at + 1 :]})
    else:
        at %= len(text)
        broken = text[:at] + char + text[at + 1 :]
    expected = outcome(broken, in_pieces=False)
    with small_pieces(piece):
        check_pieces(text, uri, data)
        assert outcome(broken, in_pieces=True) == expected
        assert outcome(broken, in_pieces=False) == expected
        # The same in another spelling, which is read at once.
        other = text_of(fields, " ")
        assert parse_ref(other) == parse_ref(text)
        assert read_ref(other, _drop) == (parse_ref(text), False)


def check_pieces(text: str, uri: str, data: bytes) -> None:
    """The image goes to the sink, and to the ref where it is wanted."""
    for keep_uri in (True, False):
        pieces: list[bytes] = []
        ref, was_read = read_ref(text, pieces.append, keep_uri=keep_uri)
        assert was_read
        assert b"".join(pieces) == data
        assert ref.raw_uri is not None
        assert ref.raw_uri == uri if keep_uri else uri.startswith(ref.raw_uri)
        whole = msgspec.structs.replace(ref, raw_uri=uri)
        assert whole == parse_ref(text)
        assert format_ref(whole) == text


@pytest.mark.parametrize("char", "=?-")
def test_no_piece_may_lose_a_character(char: str) -> None:
    """Decoders stop at padding, and some skip what is not of the alphabet."""
    data = bytes(240)
    uri = samples.data_url(data)
    text = samples.v3_text(samples.ref_fields(raw_uri=uri))
    broken = [text[:at] + char + text[at + 1 :] for at in range(len(text) - 1)]
    comma = uri.index(",")
    for at in range(comma + 1, len(uri) - 1):
        fields = samples.ref_fields(raw_uri=uri[:at] + char + uri[at + 1 :])
        broken.append(samples.v3_text(fields))
    with small_pieces(48):
        assert read_ref(text, _drop) == (parse_ref(text), True)
        for other in broken:
            expected = outcome(other, in_pieces=True)
            assert isinstance(expected, tuple)
            assert outcome(other, in_pieces=False) == expected


def test_no_piece_may_lose_whole_groups() -> None:
    """The standard library skips sixteen such characters: twelve bytes, or three inner groups."""
    text = samples.v3_text(samples.ref_fields(raw_uri=samples.data_url(bytes(1200))))
    with small_pieces(48), without_pybase64():
        assert read_ref(text, _drop) == (parse_ref(text), True)
        for at in range(len("mmraw:v3:"), len(text) - 16):
            other = text[:at] + "-" * 16 + text[at + 16 :]
            assert isinstance(outcome(other, in_pieces=True), tuple)


@pytest.mark.parametrize("name", ["family", "fingerprint", "modality", "mm_hash", "run_id"])
def test_an_image_in_another_field_is_no_source(name: str) -> None:
    image = samples.data_url(bytes(100_000))
    for fields in (samples.ref_fields(), samples.ref_fields(raw_uri=image)):
        pieces: list[bytes] = []
        with pytest.raises(MMRawError) as caught:
            read_ref(text_of(fields | {name: image}), pieces.append)
        assert caught.value.path in ("$", f"$.{name}")


def test_the_last_piece_is_checked_as_all_others_are() -> None:
    data = bytes(range(200))
    uri = samples.data_url(data, "webp")
    broken = text_of(samples.ref_fields(raw_uri=f"{uri[:-4]}!{uri[-3:]}"))
    text = text_of(samples.ref_fields(raw_uri=uri))
    with small_pieces(48):
        assert outcome(broken, in_pieces=True) == outcome(broken, in_pieces=False)
        assert outcome(broken, in_pieces=True)[0] == "invalid_base64"
        read_ref(text, _drop, limits=Limits(inline_image_bytes=200))
        with pytest.raises(MMRawError, match="limit_exceeded"):
            read_ref(text, _drop, limits=Limits(inline_image_bytes=199))
