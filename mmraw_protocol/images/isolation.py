"""Decoding in processes of their own, so that a decoder's crash is one error and no more.

A worker that crashes, hangs or outgrows its memory costs its one image; it is ended and another
takes its place. This guards against faults of decoders. It is no jail: a worker runs with the
rights of the user who started it.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from typing import Any, NamedTuple, cast

import msgspec

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import ERRORS, ErrorCode, MMRawError
from .decode import DecodedImage, Frames
from .shared_file import shared_file
from .worker import Answer, Request, Setup, send, split

__all__ = ["IsolatedDecoder"]

#: Python without site-wide surprises: no PYTHON* variables, no current directory.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path'];"
    "from mmraw_protocol.images.worker import main; main(sys.argv[1])"
)
_DECODER = "mmraw_protocol.images.decode:decode_here"
#: A start takes a fraction of a second; on a machine under heavy load it may take long.
_START_SECONDS = 60.0
_MOST_ANSWER = 1 << 16
_SHARED_SECONDS = 60.0


class IsolatedDecoder:
    """Worker processes that decode; safe to share between threads.

    Args:
        processes: Most workers; further callers wait for one.
        seconds: Most time for one image, from when a worker takes it up.
        memory_bytes: Most address space that an image may take in a worker; None allows what
            the formats need for `limits.image_pixels`: 20 bytes a pixel, and the encoded image.
        limits: Of images.
        frames: `single` refuses animations, `first` takes their first frame.
        decoder: `module:function` that decodes in the worker.

    Workers start when they are needed and end with this object, or with this process, however it
    ends. After a fork the child starts workers of its own, and keeps none of the parent's alive.
    """

    def __init__(
        self,
        *,
        processes: int = 2,
        seconds: float = 10.0,
        memory_bytes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        frames: Frames = "single",
        decoder: str = _DECODER,
    ) -> None:
        if processes < 1 or seconds <= 0:
            raise MMRawError("unsupported_option", "expected at least one process and some time")
        self.processes = processes
        self.seconds = seconds
        self.memory_bytes = memory_bytes
        self.limits = limits
        self.frames: Frames = frames
        self._decoder = decoder
        self._closed = False
        self.forget()
        _DECODERS.add(self)

    def decode(
        self,
        data: bytes,
        *,
        limits: Limits | None = None,
        frames: Frames | None = None,
        path: str = "$",
    ) -> DecodedImage:
        """The pixels of an image, as `decode_rgb` gives them.

        Args:
            data: The encoded image.
            limits: For this image in place of this object's own.
            frames: For this image in place of this object's own.
            path: For errors.

        Raises:
            MMRawError: what `decode_rgb` raises; image_undecodable also where the decoder crashed,
                decode_timeout, decoder_unavailable (no worker starts, or this is closed).
        """
        job = self._job(limits or self.limits, frames or self.frames)
        found: DecodedImage | MMRawError | None = None
        try:
            with self._free:
                found = self._decode(data, job)
        except MMRawError as error:
            found = error
        if found is None:
            found = MMRawError("image_undecodable", "the decoder crashed on this image")
        if isinstance(found, MMRawError):
            raise found.at(path)
        return found

    def _decode(self, data: bytes, job: _Job) -> DecodedImage | MMRawError | None:
        """What a worker says; None after a crash."""
        worker, reused = self._take()
        found = None
        try:
            found = worker.decode(data, job)
            if found is None and reused:
                # It may have died before this image came to it: a fresh worker tells.
                worker.stop()
                worker = self._start()
                found = worker.decode(data, job)
        finally:
            if found is None:
                worker.stop()
        if found is not None:
            self._give_back(worker)
        return found

    def close(self) -> None:
        """Ends the workers; images that are being decoded become errors."""
        with self._lock:
            self._closed = True
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.stop()

    def __enter__(self) -> IsolatedDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _job(self, limits: Limits, frames: Frames) -> _Job:
        memory = self.memory_bytes
        if memory is None:
            memory = 20 * limits.image_pixels + 4 * limits.inline_image_bytes + (1 << 27)
        return _Job(limits, frames, memory, self.seconds)

    def _take(self) -> tuple[_Worker, bool]:
        """A worker, and whether it decoded before."""
        with self._lock:
            if self._closed:
                raise MMRawError("decoder_unavailable", "the decoder was closed")
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker, True
                worker.stop()
        return self._start(), False

    def _start(self) -> _Worker:
        return _Worker(self._decoder, self.seconds)

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if not self._closed and worker.is_alive():
                self._idle.append(worker)
                return
        worker.stop()

    def forget(self) -> None:
        """Starts without workers; what a fork's parent held here is held by nobody."""
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self.processes)


class _Job(NamedTuple):
    """How one image is decoded."""

    limits: Limits
    frames: Frames
    memory_bytes: int
    seconds: float


class _Worker:
    """One process, and the ends of its pipes."""

    def __init__(self, decoder: str, seconds: float) -> None:
        self._buffer = b""
        self._shared = shared_file("mmraw-image")
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        life, self._life = os.pipe()
        theirs = (requests, answers, life)
        setup = Setup(
            path=[os.path.abspath(entry) for entry in sys.path],
            requests=requests,
            answers=answers,
            shared=self._shared,
            life=life,
            seconds=seconds,
            decoder=decoder,
        )
        self._process = None
        with contextlib.suppress(OSError, ValueError):
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, msgspec.json.encode(setup).decode()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(*theirs, self._shared),
                # Ctrl-C in a terminal is for this process, which ends its workers itself.
                start_new_session=True,
            )
        for descriptor in theirs:
            os.close(descriptor)
        ours = (self._shared, self._requests, self._answers, self._life)
        self._stop = weakref.finalize(self, _stop, self._process, ours, os.getpid())
        _WORKERS.add(self)
        started = False
        with contextlib.suppress(MMRawError):
            started = self._process is not None and self._receive(_START_SECONDS) == b""
        if not started:
            self.stop()
            message = (
                "the decoder's process does not start; see that this Python can run itself,"
                " or decode in this process with isolation='off'"
            )
            raise MMRawError("decoder_unavailable", message)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends the process at once."""
        self._stop()

    def decode(self, data: bytes, job: _Job) -> DecodedImage | MMRawError | None:
        """The pixels, the refusal, or None after a crash; then the worker is of no more use.

        Raises:
            MMRawError: image_undecodable (an answer that cannot be), decode_timeout.
        """
        limits = msgspec.structs.asdict(job.limits)
        request = Request(len(data), job.frames, limits, job.memory_bytes)
        body: bytes | None = None
        # A worker that died a moment ago shows as a broken pipe, memory that is used up as another.
        with contextlib.suppress(OSError):
            os.ftruncate(self._shared, 0)
            _write(self._shared, data)
            send(self._requests, msgspec.msgpack.encode(request))
            body = self._receive(job.seconds)
        answer = _answer_of(body)
        if answer is None:
            return None
        if answer.code:
            return MMRawError(cast(ErrorCode, answer.code), answer.message)
        # The worker is not trusted: what it says is held against the limits once more.
        size = 3 * answer.width * answer.height
        if not 0 < size <= 3 * job.limits.image_pixels:
            raise MMRawError("image_undecodable", "the decoder gave an impossible size")
        rgb = os.pread(self._shared, size, 0)
        # Its pages are given back now, not when the next image comes.
        os.ftruncate(self._shared, 0)
        if len(rgb) != size:
            raise MMRawError("image_undecodable", "the decoder gave too few pixels")
        return DecodedImage(width=answer.width, height=answer.height, format=answer.format, rgb=rgb)

    def _receive(self, seconds: float) -> bytes | None:
        """The next frame; None where the process died.

        Raises:
            MMRawError: decode_timeout.
        """
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        while (body := split(self._buffer)) is None:
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                message = "decoding took longer than the isolated decoder allows"
                raise MMRawError("decode_timeout", message)
            part = os.read(self._answers, 1 << 12)
            self._buffer += part
            if not part or len(self._buffer) > _MOST_ANSWER:
                return None
        self._buffer = self._buffer[4 + len(body) :]
        return body


def _answer_of(body: bytes | None) -> Answer | None:
    """What a worker said, where it is an answer at all."""
    answer = None
    with contextlib.suppress(msgspec.MsgspecError):
        answer = None if body is None else msgspec.msgpack.decode(body, type=Answer)
    if answer is None or (answer.code and answer.code not in ERRORS):
        return None
    return answer


def _write(descriptor: int, data: bytes) -> None:
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(descriptor, view[at:], at)


def _stop(process: Any, descriptors: tuple[int, ...], owner: int) -> None:
    """Closes the pipes; ends the process, unless it belongs to the parent of a fork."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    if process is not None and owner == os.getpid():
        process.kill()
        process.wait()


def _in_child_of_fork() -> None:
    """The parent's workers stay the parent's, and end with it: no end of their pipes is kept."""
    for worker in list(_WORKERS):
        worker.stop()
    for decoder in list(_DECODERS):
        decoder.forget()


_WORKERS: weakref.WeakSet[_Worker] = weakref.WeakSet()
_DECODERS: weakref.WeakSet[IsolatedDecoder] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child_of_fork)

#: For `decode_rgb`. Time is generous: what memory sends here is not under suspicion.
SHARED = IsolatedDecoder(processes=min(4, os.cpu_count() or 1), seconds=_SHARED_SECONDS)
