"""Faults of the machine and of the process are never put down to the image."""

import errno
import os
import subprocess
from typing import Any

import process_programs
import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.images import ImageSource, decode_rgb, read_header
from mmraw_protocol.images.isolation import IsolatedDecoder
from mmraw_protocol.materialize import Materializer

PNG = process_programs.png(320)

if not hasattr(os, "pread"):
    pytest.skip("the workers need a POSIX system", allow_module_level=True)


def code(work: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(MMRawError) as caught:
        work(*args, **options)
    assert caught.value.__context__ is None
    return caught.value.code


@pytest.mark.parametrize("name", ["app", "python-app", "uwsgi", "python3"])
def test_an_application_is_never_started_again(name: str) -> None:
    seen = process_programs.run("machine_programs.application", "frozen", name)
    assert seen == {"code": "decoder_unavailable", "started": False}
    if name != "python3":
        assert process_programs.run("machine_programs.application", "embedding", name) == seen


def test_what_was_started_as_a_worker_starts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMRAW_STARTED_WORKER", "1")
    with IsolatedDecoder() as decoder:
        assert code(decoder.decode, PNG) == "decoder_unavailable"


@pytest.mark.parametrize("kind", ["none", "empty", "number", "folder", "path", "no path"])
def test_an_odd_interpreter_is_no_foreign_exception(kind: str) -> None:
    assert process_programs.run("machine_programs.odd_interpreter", kind) in (
        "decoder_unavailable",
        64,
    )


@pytest.mark.parametrize(
    ("limit", "amount"),
    [
        ("RLIMIT_FSIZE", "1000"),
        ("RLIMIT_NOFILE", "3"),
        ("RLIMIT_NOFILE", "4"),
        ("RLIMIT_NOFILE", "6"),
        ("RLIMIT_NOFILE", "9"),
    ],
)
def test_a_limit_of_the_system_blames_no_image(limit: str, amount: str) -> None:
    for seen in process_programs.run("machine_programs.limited", limit, amount):
        assert seen in (400, "decoder_unavailable")


def test_a_process_without_memory_blames_no_image() -> None:
    assert process_programs.run("machine_programs.no_memory") == ["decoder_unavailable"] * 2


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_system_that_starts_no_process_blames_no_image(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with IsolatedDecoder() as decoder:
        assert code(decoder.decode, PNG) == "decoder_unavailable"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.ENOMEM])
def test_full_shared_memory_blames_no_image(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(number, "no")

    with IsolatedDecoder(processes=1) as decoder:
        assert decoder.decode(PNG).width == 320
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", refuse)
            assert code(decoder.decode, PNG) == "decoder_unavailable"
        assert decoder.decode(PNG).width == 320


def test_a_system_that_starts_no_thread_blames_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio
    import threading

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Materializer(cache_bytes=0) as materializer:
        (found,) = materializer.materialize_many(["no ref"])
        assert isinstance(found, MMRawError)
        assert code(lambda: asyncio.run(materializer.materialize_async("x"))) == (
            "decoder_unavailable"
        )


@pytest.mark.parametrize("kind", [MemoryError, RecursionError, ImportError])
def test_only_what_a_decoder_throws_is_the_images(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmraw_protocol.images import own_pillow

    def give_out(*_: Any) -> None:
        raise kind("x")

    for name in ("load", "_open"):
        with monkeypatch.context() as patch:
            patch.setattr(own_pillow.PngImagePlugin.PngImageFile, name, give_out)
            assert code(decode_rgb, PNG) == "decoder_unavailable"
    patch.setattr(own_pillow.PngImagePlugin.PngImageFile, "_open", give_out)
    assert code(read_header, PNG) == "decoder_unavailable"
    patch.undo()


class StoppedError(ValueError):
    """An exception that a handler of signals may raise."""


@pytest.mark.parametrize("kind", [StoppedError, TimeoutError, Exception, RuntimeError])
def test_what_other_code_throws_into_a_decoder_is_not_the_images(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmraw_protocol.images import own_pillow

    def stop(*_: Any) -> None:
        raise kind("by other code")

    for name in ("load", "_open"):
        with monkeypatch.context() as patch:
            patch.setattr(own_pillow.PngImagePlugin.PngImageFile, name, stop)
            with pytest.raises(kind, match="by other code"):
                decode_rgb(PNG)


@pytest.mark.parametrize("kind", ["own", "timeout", "plain"])
def test_what_other_code_throws_into_a_thread_goes_on(kind: str) -> None:
    assert process_programs.run("machine_programs.thrown", kind)


def test_a_source_is_read_to_its_end(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    whole = io.FileIO.read

    class Short(io.FileIO):
        def read(self, size: int = -1, /) -> bytes:  # type: ignore[override]
            return whole(self, min(size, 7)) or b""

    def opened(name: Any, *_: Any, **__: Any) -> Any:
        return Short(name)

    monkeypatch.setattr("builtins.open", opened)
    assert ImageSource.open(path).data == PNG
