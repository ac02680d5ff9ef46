"""The process that decodes images for another one; only `isolation.py` starts it.

Requests and answers are msgpack after four bytes of length. Image and pixels travel in a file
without a name that both processes hold open.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import struct
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from .faults import machine_error
from .pixels import DecodedImage

_LENGTH = struct.Struct(">I")


class Request(msgspec.Struct):
    """Decode the first `size` bytes of the shared file, in so much more memory at the most."""

    size: int
    frames: str
    limits: dict[str, int]
    memory_bytes: int


class Answer(msgspec.Struct):
    """Either the picture whose pixels are in the shared file, or the refusal."""

    width: int = 0
    height: int = 0
    format: str = ""
    code: str = ""
    message: str = ""


class Setup(msgspec.Struct):
    """The setup of a worker at its start: descriptors, bounds, and the function that decodes."""

    requests: int
    answers: int
    shared: int
    life: int
    seconds: float
    decoder: str


def send(descriptor: int, body: bytes) -> None:
    """One frame; frames are smaller than a pipe's buffer."""
    os.write(descriptor, _LENGTH.pack(len(body)) + body)


def read_all(descriptor: int, size: int) -> bytes:
    """Reads up to `size` bytes from the start of a file: one read may give less than there is."""
    data = os.pread(descriptor, size, 0)
    while len(data) < size and (part := os.pread(descriptor, size - len(data), len(data))):
        data += part
    return data


def write_all(descriptor: int, data: bytes) -> None:
    """The bytes at the beginning of a file."""
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(descriptor, view[at:], at)


def split(buffer: bytes) -> bytes | None:
    """The frame that a buffer holds; None while it is not complete."""
    if len(buffer) < _LENGTH.size:
        return None
    end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
    return buffer[_LENGTH.size : end] if len(buffer) >= end else None


def main(setup_json: str) -> None:
    """Answers requests until the other side closes; the process ends with it."""
    setup = msgspec.json.decode(setup_json, type=Setup)
    _end_with_parent(setup.life)
    module, _, name = setup.decoder.partition(":")
    decode: Callable[..., DecodedImage] = getattr(importlib.import_module(module), name)
    _warm_up()
    base = _address_space()
    send(setup.answers, b"")
    buffer = b""
    while part := os.read(setup.requests, 1 << 16):
        buffer += part
        body = split(buffer)
        if body is None:
            continue
        buffer = buffer[_LENGTH.size + len(body) :]
        _bound_time(setup.seconds)
        request = msgspec.msgpack.decode(body, type=Request)
        is_own_bound = _bound_memory(base, request.memory_bytes)
        answer = _answer(request, setup.shared, decode, is_own_bound)
        send(setup.answers, msgspec.msgpack.encode(answer))


def _answer(
    request: Request, shared: int, decode: Callable[..., DecodedImage], is_own_bound: bool
) -> Answer:
    try:
        data = read_all(shared, request.size)
        found = decode(data, limits=Limits(**request.limits), frames=request.frames)
        os.ftruncate(shared, 0)
        write_all(shared, found.rgb)
    except MMRawError as error:
        return Answer(code=error.code, message=error.message)
    except Exception as error:  # noqa: BLE001
        # An image that outgrows the bound that was set for it is to blame for that.
        outgrown = isinstance(error, MemoryError) and is_own_bound
        failed = None if outgrown else machine_error(error)
        if failed is not None:
            return Answer(code=failed.code, message=failed.message)
        return Answer(code="image_undecodable", message="the image does not decode whole")
    return Answer(width=found.width, height=found.height, format=found.format)


def _warm_up() -> None:
    """Loads the decoders before time and memory are bounded."""
    with contextlib.suppress(ImportError):
        from . import own_pillow

        _ = own_pillow


def _end_with_parent(life: int) -> None:
    """Ends this process as soon as the other side's end of the pipe is closed, however it died."""

    def wait() -> None:
        os.read(life, 1)
        os._exit(0)

    threading.stack_size(1 << 18)
    threading.Thread(target=wait, daemon=True).start()


def _address_space() -> int:
    """Bytes of address space that this process has when it is idle; 0 if unknown."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    return 0


def _bound_memory(base: int, more: int) -> bool:
    """Lets the address space outgrow `base` by so many bytes at most, and forbids core dumps.

    Returns:
        Whether no other limit of the system is narrower.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard: Any = resource.getrlimit(resource.RLIMIT_AS)[1]
        size = base + more if hard < 0 else min(base + more, hard)
        if base:
            resource.setrlimit(resource.RLIMIT_AS, (size, hard))
            data: Any = resource.getrlimit(resource.RLIMIT_DATA)[0]
            return size == base + more and data < 0
    return False


def _bound_time(seconds: float) -> None:
    """Ends an endless loop even if no other process is left to stop it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(usage.ru_utime + usage.ru_stime + seconds) + 2
        hard: Any = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
