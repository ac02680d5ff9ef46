"""Compressed files: known by their first bytes, read in bounded memory, written as they were."""

import gzip
import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol import MMRawError
from mmraw_protocol.wire.compression import compressed, compression_of, decompressed

HEADS = {"gzip": b"\x1f\x8b\x08\x00", "zstd": b"\x28\xb5\x2f\xfd"}


def is_here(name: str) -> bool:
    try:
        return compression_of(HEADS[name]) is not None
    except MMRawError:
        return False


NAMES = [name for name in HEADS if is_here(name)]


def packed(data: bytes, name: str = "gzip") -> bytes:
    out = bytearray()
    write, finish = compressed(out.extend, compression_of(HEADS[name]))
    write(data)
    finish()
    return bytes(out)


def unpacked(data: bytes, size: int = 1 << 16) -> bytes:
    read, _ = decompressed(io.BytesIO(data).read)
    return b"".join(iter(lambda: read(size), b""))


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 5000))
def test_members_one_behind_the_other_are_one_file(
    name: str, parts: list[bytes], size: int
) -> None:
    data = b"".join(packed(part, name) for part in parts)
    assert unpacked(data, size) == b"".join(parts)
    _, compression = decompressed(io.BytesIO(data).read)
    assert compression is not None
    assert compression.name == name


@given(st.binary())
def test_what_is_not_compressed_passes_as_it_is(data: bytes) -> None:
    if not data.startswith((b"\x1f\x8b", HEADS["zstd"])) and data[1:4] != b"\x2a\x4d\x18":
        assert unpacked(data, 3) == data


def test_gzip_of_other_programs_is_read_and_ours_by_them() -> None:
    text = b'{"a": 1}\n' * 100_000
    assert unpacked(gzip.compress(text)) == text
    assert gzip.decompress(packed(text)) == text


def test_zeros_behind_gzip_are_padding() -> None:
    assert unpacked(packed(b"[]") + bytes(40_000), 7) == b"[]"
    for rest in (bytes(9) + b"x", b"\0\0" + packed(b"[]")):
        with pytest.raises(MMRawError):
            unpacked(packed(b"[]") + rest)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "break_it",
    [
        lambda data: data[:-5],
        lambda data: data[: len(data) // 2],
        lambda data: data[:5],
        lambda data: data + data[:10],
        lambda data: data[:10] + b"\xff" * 20 + data[30:],
        lambda data: data + b"{}",
    ],
)
def test_broken_data_are_refused(name: str, break_it: Callable[[bytes], bytes]) -> None:
    data = packed(bytes(range(256)) * 999, name)
    with pytest.raises(MMRawError) as caught:
        unpacked(break_it(data))
    assert caught.value.code == "source_unavailable"


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_bounded_whatever_the_data_open_to(name: str) -> None:
    data = packed(bytes(200 << 20), name)
    tracemalloc.start()
    try:
        read, _ = decompressed(io.BytesIO(data).read)
        assert sum(map(len, iter(lambda: read(1 << 16), b""))) == 200 << 20
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()
