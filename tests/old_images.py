"""Stores of old images, and files that refer to them, for the tests of store tools."""

import contextlib
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import samples
from plain_store import PlainStore
from samples import PNG

from mmraw_protocol.cli import main
from mmraw_protocol.stores import LocalStore, StoredObject
from mmraw_protocol.wire.hashes import sha256_hex

DIALECTS = ("v1", "v2", "v3", "v3-runless", "unversioned-uri")


def image(number: int) -> bytes:
    """Another image for each number (its end is not looked at by what is tested here)."""
    return PNG + bytes([number])


def name_of(data: bytes) -> str:
    return f"{sha256_hex(data)}.png"


def ref_to(data: bytes, dialect: str = "v3", run_id: str = "exp42", name: str | None = None) -> str:
    """A ref of a dialect to a stored image."""
    name = name or name_of(data)
    is_url = dialect == "unversioned-uri"
    source = {"raw_image_uri": f"file:///data/{name}"} if is_url else {"raw_image_id": name}
    run = {"run_id": run_id} if dialect in ("v1", "v2", "v3") else {}
    return samples.ref(dialect, mm_hash=sha256_hex(data)[:32], **source, **run)


def age(path: Path, seconds: float = 30 * 86400.0) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def rollouts(folder: Path, *rows: Any, name: str = "rollouts.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def mmraw(*arguments: str | Path, code: int = 0) -> Any:
    """Returns what a sub-command prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            ended = main(["store", *map(str, arguments)])
        except SystemExit as error:
            ended = error.code
    assert ended == code, printed.getvalue()
    return json.loads(printed.getvalue()) if "--json" in arguments else printed.getvalue()


def old_store(folder: Path) -> LocalStore:
    """A store with four old images."""
    store = LocalStore(folder, durable=False)
    for number in range(4):
        store.put(image(number))
        age(store.root / name_of(image(number)))
    return store


class Interrupts(PlainStore):
    """Ends the process's work after so many reads, as Ctrl-C or a lost connection would."""

    reads = 0
    after = 10**9
    error: BaseException = KeyboardInterrupt()

    def get(self, raw_image_id: str, *, run_id: str | None = None) -> bytes:
        self.reads += 1
        if self.reads > self.after:
            raise self.error
        return super().get(raw_image_id, run_id=run_id)

    def entries(self, *, run_id: str | None = None) -> Iterator[StoredObject]:
        for name in self.list(run_id=run_id):
            yield StoredObject(name, len(self.objects[self.place, name]), 1e9)


def interrupting(count: int) -> Interrupts:
    store = Interrupts({}, "x")
    for number in range(count):
        store.put(image(number))
    return store
