"""Compressed files, known by their first bytes: gzip and Zstandard, in bounded memory."""

from __future__ import annotations

import contextlib
import io
import re
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from .errors import MMRawError
from .extras import extra_module

Read = Callable[[int], bytes]
Write = Callable[[bytes], object]

_CHUNK = 1 << 20
_HEAD = 12
#: How files begin in forms that are not read, or not from here.
_OTHERS = {
    b"PAR1": "Parquet that is compressed as a whole or comes through a pipe",
    b"ARROW1": "Arrow that is compressed as a whole or comes through a pipe",
    b"\xff\xff\xff\xff": "an Arrow stream that is compressed as a whole or comes through a pipe",
    b"\x1f\x8b": "gzip within another compression",
    b"\x28\xb5\x2f\xfd": "Zstandard within another compression",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\xff\x06\0\0sNaPpY": "Snappy",
    b"\xff\xfe": "UTF-16 or UTF-32",
    b"\xfe\xff": "UTF-16",
    b"FEA1\0": "Feather of version 1",
    b"Obj\x01": "Avro",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_ZSTD_STEP = 1 << 9
_ZSTD_START = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)
#: What is wrong with data that a decompressor does not take.
_UNREADABLE = {
    "gzip": "cannot be read",
    "zstd": "cannot be read: broken, or made with a dictionary or a window above 128 MiB",
}


class Compression(NamedTuple):
    """A form of compression.

    Attributes:
        name: `gzip` or `zstd`.
        decompressor: Opens one member: `decompress`, `eof` and `unused_data` as in zlib.
        compressor: Writes one: `compress` and `flush`.
        error: What the decompressor raises for what it cannot read.
        step: Compressed bytes that are opened at once, so that they never open to more than some
            16 MiB: gzip says a thousand bytes in one, Zstandard 128 KiB in four.
    """

    name: str
    decompressor: Callable[[], Any]
    compressor: Callable[[], Any]
    error: type[Exception]
    step: int


def decompressed(read: Read) -> tuple[Read, Compression | None]:
    """The bytes that a file says, and how it is compressed (None if it is not).

    Several members, one behind the other, are one file. zstd needs Python 3.14 or the extra
    `zstd`.

    Args:
        read: Gives up to so many bytes of the file, and none at the end.

    Raises:
        MMRawError: missing_dependency. Reading raises source_unavailable for data that are broken
            or cut off.
    """
    read, head = _begun(read)
    compression = compression_of(head)
    if compression is None:
        return read, None
    return _Decompressed(read, compression).read, compression


def documents_in(read: Read) -> tuple[Read, Compression | None]:
    """`decompressed`, of an input that is text or MessagePack then.

    Raises:
        MMRawError: unsupported_option (another form), source_unavailable (broken at its beginning),
            and what `decompressed` raises.
    """
    read, compression = decompressed(read)
    read, head = _begun(read)
    for start, form in _OTHERS.items():
        if head.startswith(start):
            message = f"expected text or MessagePack, plain or in gzip or Zstandard, got {form}"
            raise MMRawError("unsupported_option", message)
    return read, compression


def _begun(read: Read) -> tuple[Read, bytes]:
    """The same input, and its first bytes."""
    head = b""
    while len(head) < _HEAD and (more := read(_HEAD - len(head))):
        head += more
    return _Pushed(head, read).read, head


def compression_of(head: bytes) -> Compression | None:
    """The compression of a file that begins with these bytes.

    Raises:
        MMRawError: missing_dependency.
    """
    if head.startswith(b"\x1f\x8b"):
        opener = lambda: zlib.decompressobj(wbits=31)  # noqa: E731
        return Compression("gzip", opener, lambda: zlib.compressobj(wbits=31), zlib.error, 1 << 14)
    # A frame, or one to be skipped, as some tools begin with.
    if _ZSTD_START.match(head):
        return _zstd()
    return None


def compressed(write: Write, compression: Compression | None) -> tuple[Write, Callable[[], object]]:
    """Writes a file with the compression of another one.

    Returns:
        What takes the bytes, and what writes the end.
    """
    if compression is None:
        return write, lambda: None
    compressor = compression.compressor()
    return lambda data: write(compressor.compress(data)), lambda: write(compressor.flush())


def _zstd() -> Compression:
    library: Any = None
    with contextlib.suppress(ImportError):
        library = import_module("compression.zstd")
        opener, packer = library.ZstdDecompressor, library.ZstdCompressor
        return Compression("zstd", opener, packer, library.ZstdError, _ZSTD_STEP)
    library = extra_module("zstandard", "zstd", "for a file that is compressed by zstd")
    return Compression(
        "zstd",
        lambda: library.ZstdDecompressor().decompressobj(),
        lambda: library.ZstdCompressor().compressobj(),
        library.ZstdError,
        _ZSTD_STEP,
    )


class _Raw(io.RawIOBase):
    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def as_file(read: Read) -> io.BufferedReader:
    """A file that gives what `read` does."""
    return io.BufferedReader(_Raw(read), _CHUNK)


class _Pushed:
    """A stream with bytes put back before it."""

    def __init__(self, held: bytes, read: Read) -> None:
        self._held, self._read = held, read

    def read(self, size: int) -> bytes:
        """Reads up to `size` bytes, none at the end."""
        data, self._held = self._held[:size], self._held[size:]
        return data + self._read(size - len(data)) if len(data) < size else data


class _Decompressed:
    def __init__(self, read: Read, compression: Compression) -> None:
        self._read = read
        self._compression = compression
        self._member: Any = None
        self._packed = memoryview(b"")
        self._held = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Reads up to `size` bytes, none at the end."""
        parts: list[bytes] = []
        missing = size
        while missing and (self._held or self._fill()):
            parts.append(bytes(self._held[:missing]))
            self._held = self._held[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _fill(self) -> bool:
        """True if there is more."""
        while not self._held:
            if not self._packed:
                self._packed = memoryview(self._read(_CHUNK))
            if not self._packed:
                if self._member is not None:
                    raise self._broken("ends before its end")
                return False
            self._open(bytes(self._packed[: self._compression.step]))
        return True

    def _open(self, data: bytes) -> None:
        if self._member is None and self._compression.name == "gzip" and not data.strip(b"\0"):
            # Padding, as of tapes: gzip itself takes it for nothing.
            self._packed = self._packed[len(data) :]
            return
        if self._member is None:
            self._member = self._compression.decompressor()
        failed = False
        try:
            self._held = memoryview(self._member.decompress(data))
        except self._compression.error:
            failed = True
        if failed:
            raise self._broken(_UNREADABLE[self._compression.name])
        ended = self._member.eof
        self._packed = self._packed[len(data) - (len(self._member.unused_data) if ended else 0) :]
        if ended:
            self._member = None

    def _broken(self, what: str) -> MMRawError:
        return MMRawError("source_unavailable", f"the {self._compression.name} data {what}")
