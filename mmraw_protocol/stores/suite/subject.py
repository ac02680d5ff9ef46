"""A store under test, and how rules are written."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from typing import Any

from ...wire.errors import MMRawError
from ..base import AssetStore

OpenStore = Callable[..., AssetStore]
Tamper = Callable[[str, str, bytes], None]

PNG = b"\x89PNG\r\n\x1a\n"
KINDS = {
    "png": PNG,
    "jpg": b"\xff\xd8\xff\xe0",
    "webp": b"RIFF\x10\x00\x00\x00WEBP",
    "gif": b"GIF89a",
    "img": b"what no sniffer knows",
}


class BrokenRuleError(AssertionError):
    """A store does not keep a rule of the suite."""


class Subject:
    """A store under test: opens it at fresh places and leaves nothing behind."""

    def __init__(self, open_store: OpenStore, tamper: Tamper | None) -> None:
        self._open = open_store
        self._tamper = tamper
        self._opened: list[tuple[AssetStore, tuple[str | None, ...]]] = []
        self.place = f"suite-{secrets.token_hex(8)}"

    def open(self, **options: Any) -> AssetStore:
        """The store at this rule's place."""
        store = self._open(self.place, **options)
        self._opened.append((store, tuple(options.get("run_ids") or (None,))))
        return store

    def tamper(self, raw_image_id: str, data: bytes) -> None:
        """Writes bytes under a name without the store."""
        if self._tamper is not None:
            self._tamper(self.place, raw_image_id, data)

    def clean(self) -> None:
        """Removes what is left; failures do not count."""
        for store, runs in self._opened:
            for run_id in runs:
                with contextlib.suppress(Exception):
                    for name in list(store.list(run_id=run_id)):
                        store.delete(name, run_id=run_id)


Rule = Callable[[Subject], None]
#: Every rule by its name, in the order in which they build on each other.
RULES: dict[str, Rule] = {}
#: The rules that need `tamper`.
TAMPERING: set[str] = set()


def rule(work: Rule) -> Rule:
    """Makes a function a rule of the suite, named as it is."""
    RULES[work.__name__] = work
    return work


def tampering(work: Rule) -> Rule:
    """Makes a function a rule that needs `tamper`."""
    TAMPERING.add(work.__name__)
    return rule(work)


def expect(holds: bool, otherwise: str) -> None:
    """Breaks the rule if something does not hold."""
    if not holds:
        raise BrokenRuleError(otherwise)


def refused(code: str, work: Callable[..., object], *args: Any, **options: Any) -> None:
    """The call is refused with that code, in words that are short, plain and free of input."""
    caught: MMRawError | None = None
    try:
        work(*args, **options)
    except MMRawError as error:
        caught = error
    if caught is None:
        raise BrokenRuleError(f"{code} was expected and nothing was refused")
    expect(caught.code == code, f"{code} was expected and {caught.code} came")
    message = caught.message
    expect(len(message) <= 200 and message.isascii() and message.isprintable(), "a bad message")
    expect(caught.__context__ is None and caught.__cause__ is None, "an error drags another along")
    for value in (*args, *options.values()):
        text = value if isinstance(value, str) else ""
        expect(len(text) < 16 or text not in message, "a message repeats what was passed")


def picture(text: str, kind: str = "png", size: int = 100) -> bytes:
    """Bytes that begin like an image of that kind and differ by `text`."""
    body = text.encode() + b" "
    return KINDS[kind] + (body * (size // len(body) + 1))[:size]
