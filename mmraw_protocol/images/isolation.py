"""Decoding in processes of their own, so that a decoder's crash is one error and no more.

A worker that crashes, hangs or outgrows its memory costs its one image; it is ended and another
takes its place. This guards against faults of decoders. It is not a sandbox: a worker runs with the
rights of the user that started it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import subprocess
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from ..system.claims import Claim, hold_one_of, own_frame
from ..system.descriptors import pipe, shared_file
from ..system.forks import forget_after_fork
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import ERRORS, ErrorCode, MMRawError
from .abandoned import is_abandoned
from .pixels import DecodedImage, Frames, image_of_rgb
from .worker import Answer, Request, Setup, read_all, send, split, write_all
from .worker_start import does_not_start, reason_of, start_python

if TYPE_CHECKING:
    from ..system.descriptors import Descriptor

__all__ = ["IsolatedDecoder"]

_WORKER = "mmraw_protocol.images.worker"
_DECODER = "mmraw_protocol.images.pixels:decode_here"
_ADVICE = "or decode in this process with isolation='off'"
#: A start takes a fraction of a second; on a machine under heavy load it may take long.
_START_SECONDS = 60.0
#: Seconds that a worker whose pipe is closed may take to end.
_END_SECONDS = 5.0
#: Seconds between two checks whether a caller still waits; a worker's start takes about as long.
_LOOK_SECONDS = 0.25
_MOST_ANSWER = 1 << 16
_SHARED_SECONDS = 60.0
#: Signals by which a decoder's own faults end a process. All others come from outside: a machine
#: without memory sends SIGKILL.
_CRASHES = tuple(
    -number
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
    + ((signal.SIGBUS,) if hasattr(signal, "SIGBUS") else ())
)
_OUT_OF_TIME = -getattr(signal, "SIGXCPU", 0)


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
    A copy, pickled or not, has the same settings and workers of its own.
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
        if processes < 1 or not seconds > 0:
            raise MMRawError("unsupported_option", "expected at least one process and some time")
        self.processes = processes
        self.seconds = seconds
        self.memory_bytes = memory_bytes
        self.limits = limits
        self.frames: Frames = frames
        self._decoder = decoder
        self._closed = False
        self.forget()
        forget_after_fork(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_idle": [], "_busy": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.forget()
        forget_after_fork(self)

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
            MMRawError: what `decode_rgb` raises; image_undecodable also if the decoder crashed,
                decode_timeout (also if no caller waits any more), decoder_unavailable (no worker
                starts, the machine gave out, or this is closed).
        """
        job = self._job(limits or self.limits, frames or self.frames)
        found: DecodedImage | MMRawError
        try:
            end = hold_one_of(self.processes, self._busy, own_frame())
            try:
                found = self._decode(data, job)
            finally:
                end()
        except MMRawError as error:
            found = error
        if isinstance(found, MMRawError):
            raise found.with_path_prefix(path)
        return found

    def _decode(self, data: bytes, job: _Job) -> DecodedImage | MMRawError:
        """Returns the answer of a worker."""
        worker, reused = self._take()
        try:
            found = worker.decode(data, job)
            if worker.has_died and reused:
                # It may have died before this image reached it: try a fresh worker.
                worker.stop()
                worker = self._start()
                found = worker.decode(data, job)
        finally:
            if worker.is_spent:
                worker.stop()
        if not worker.is_spent:
            self._give_back(worker)
        return found

    def close(self) -> None:
        """Ends the workers; images that are being decoded become errors."""
        self._closed = True
        self._stop_idle()

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
        if self._closed:
            raise MMRawError("decoder_unavailable", "the decoder was closed")
        if is_abandoned():
            raise MMRawError("decode_timeout", "no caller was waiting for the image at its turn")
        # Taking from a list and adding to it are one step each, which no interrupt divides.
        with contextlib.suppress(IndexError):
            while True:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker, True
                worker.stop()
        return self._start(), False

    def _start(self) -> _Worker:
        return _Worker(self._decoder, self.seconds)

    def _give_back(self, worker: _Worker) -> None:
        self._idle.append(worker)
        if self._closed:
            self._stop_idle()

    def _stop_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().stop()

    def forget(self) -> None:
        """Starts without workers and without callers that wait."""
        self._idle: list[_Worker] = []
        self._busy: dict[int, Claim] = {}


class _Job(NamedTuple):
    """The decoding of one image."""

    limits: Limits
    frames: Frames
    memory_bytes: int
    seconds: float


class _Worker:
    """One process, and the ends of its pipes.

    Attributes:
        is_spent: Whether it must be stopped: it is at work, or was left in the middle of it.
        has_died: Whether it ended while it was at work.
    """

    def __init__(self, decoder: str, seconds: float) -> None:
        self.is_spent = False
        self.has_died = False
        self._buffer = b""
        self._files: list[Descriptor] = []
        self._process: subprocess.Popen[bytes] | None = None
        forget_after_fork(self)
        failed: MMRawError | None = None
        try:
            self._open(decoder, seconds)
            if self._receive(_START_SECONDS) != b"":
                failed = does_not_start("", _ADVICE)
        except (OSError, MemoryError) as error:
            failed = does_not_start(reason_of(error), _ADVICE)
        except MMRawError as error:
            failed = error
        if failed is not None:
            self.stop()
            raise failed

    def _open(self, decoder: str, seconds: float) -> None:
        shared = self._shared = shared_file("mmraw-image")
        requests, self._requests = pipe()
        self._answers, answers = pipe()
        life, self._life = pipe()
        self._files += (shared, self._requests, self._answers, self._life)
        keep = {
            "requests": requests.number,
            "answers": answers.number,
            "shared": shared.number,
            "life": life.number,
        }
        setup = Setup(**keep, seconds=seconds, decoder=decoder)
        devnull = subprocess.DEVNULL
        streams = {"stdin": devnull, "stdout": devnull, "stderr": devnull}
        argument = msgspec.json.encode(setup).decode()
        self._process = start_python(
            _WORKER, argument, advice=_ADVICE, keep=tuple(keep.values()), **streams
        )
        # Ends it where nothing else does: when this object goes, and at the exit of this process.
        weakref.finalize(self, _stop, self._process, self._files, os.getpid())
        for theirs in (requests, answers, life):
            theirs.close()

    def is_alive(self) -> bool:
        """True if the process runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends the process at once."""
        _stop(self._process, self._files, os.getpid())

    def forget(self) -> None:
        """Drops the process in the child of a fork: it is the parent's and ends with it."""
        self._process = None
        for file in self._files:
            file.close()

    def decode(self, data: bytes, job: _Job) -> DecodedImage | MMRawError:
        """The pixels or the refusal."""
        self.is_spent, self.has_died = True, False
        body: bytes | None = None
        try:
            with contextlib.suppress(BrokenPipeError):
                body = self._ask(data, job)
        except TimeoutError:
            message = "decoding took longer than the isolated decoder allows"
            return MMRawError("decode_timeout", message)
        except (OSError, MemoryError) as error:
            # A worker that lost its descriptors to other code is replaced by the next one.
            self.has_died = isinstance(error, OSError) and error.errno == errno.EBADF
            return _machine_error(reason_of(error))
        answer = _answer_of(body)
        if answer is None:
            self.has_died = True
            return self._cause()
        if answer.code:
            self.is_spent = False
            return MMRawError(cast(ErrorCode, answer.code), answer.message)
        return self._picture(answer, job)

    def _ask(self, data: bytes, job: _Job) -> bytes | None:
        """The answer's bytes; None if the process died.

        Raises:
            TimeoutError, OSError, MemoryError.
        """
        limits = msgspec.structs.asdict(job.limits)
        request = Request(len(data), job.frames, limits, job.memory_bytes)
        shared = self._shared.number
        os.ftruncate(shared, 0)
        write_all(shared, data)
        send(self._requests.number, msgspec.msgpack.encode(request))
        return self._receive(job.seconds)

    def _picture(self, answer: Answer, job: _Job) -> DecodedImage | MMRawError:
        # The worker is not trusted: its answer is checked against the limits again.
        size = 3 * answer.width * answer.height
        if not 0 < size <= 3 * job.limits.image_pixels:
            return MMRawError("image_undecodable", "the decoder gave an impossible size")
        try:
            shared = self._shared.number
            rgb = read_all(shared, size)
            # Its pages are given back now, not when the next image comes.
            os.ftruncate(shared, 0)
        except (OSError, MemoryError) as error:
            return _machine_error(reason_of(error))
        if len(rgb) != size:
            return MMRawError("image_undecodable", "the decoder gave too few pixels")
        self.is_spent = False
        return image_of_rgb(answer.width, answer.height, answer.format, rgb)

    def _cause(self) -> MMRawError:
        """Why the process died: by a fault of the decoder, or by one of the machine."""
        code = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_END_SECONDS)
        if code in _CRASHES:
            return MMRawError("image_undecodable", "the decoder crashed on this image")
        if code == _OUT_OF_TIME:
            return MMRawError(
                "decode_timeout", "decoding took longer than the limit of its process"
            )
        return _machine_error("its process was ended from outside (out of memory?)")

    def _receive(self, seconds: float) -> bytes | None:
        """The next frame; None if the process died.

        Raises:
            TimeoutError, OSError.
        """
        until = time.monotonic() + seconds
        answers = self._answers.number
        poll = select.poll()
        poll.register(answers, select.POLLIN)
        while (body := split(self._buffer)) is None:
            left = until - time.monotonic()
            if poll.poll(1000 * max(0.0, min(left, _LOOK_SECONDS))):
                part = os.read(answers, 1 << 12)
                self._buffer += part
                if not part or len(self._buffer) > _MOST_ANSWER:
                    return None
            elif left <= _LOOK_SECONDS or is_abandoned():
                raise TimeoutError
        self._buffer = self._buffer[4 + len(body) :]
        return body


def _answer_of(body: bytes | None) -> Answer | None:
    """Returns the worker's answer, or None if the bytes are no answer."""
    answer = None
    with contextlib.suppress(msgspec.MsgspecError):
        answer = None if body is None else msgspec.msgpack.decode(body, type=Answer)
    if answer is None or (answer.code and answer.code not in ERRORS):
        return None
    return answer


def _machine_error(reason: str) -> MMRawError:
    why = reason or "the machine reported an error"
    return MMRawError("decoder_unavailable", f"the image was not decoded: {why}")


def _stop(process: Any, files: list[Descriptor], owner: int) -> None:
    """Closes the pipes; ends the process, unless it belongs to the parent of a fork."""
    for file in files:
        file.close()
    if process is not None and owner == os.getpid():
        process.kill()
        process.wait()


#: For `decode_rgb`. Time is generous: what memory sends here is not under suspicion.
SHARED = IsolatedDecoder(processes=min(4, os.cpu_count() or 1), seconds=_SHARED_SECONDS)
