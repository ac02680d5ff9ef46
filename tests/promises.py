"""The promises of every rejection, in a form that tests and fuzzers share."""

import functools
import pickle
import re
from collections.abc import Callable
from typing import Any

from mmraw_protocol import ERRORS, MMRawError
from mmraw_protocol.wire.schemas import spec_folder

#: From this length on, a piece of the input inside a message counts as a repetition.
REPEATED = 16


@functools.cache
def _schema_names() -> re.Pattern[str]:
    """Every name that a schema or the table of limits defines, longest first."""
    files = [*spec_folder().rglob("*.schema.json"), spec_folder() / "limits.json"]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    names = sorted(set(re.findall(r"[A-Za-z_][A-Za-z0-9_]{11,}", text)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)))


def broken_promise(error: BaseException, *given: Any) -> str | None:
    """Says what is wrong about a rejection of `given`: texts, bytes, or values that have such."""
    if not isinstance(error, MMRawError):
        return f"another class: {type(error).__name__}"
    if error.code not in ERRORS:
        return "an unlisted code"
    if error.__context__ is not None or error.__cause__ is not None:
        return "another exception hangs on it, with what it holds"
    for name, text in (("message", error.message), ("path", error.path)):
        if len(text) > 200 or not text or not text.isascii() or not text.isprintable():
            return f"the {name} is no short printable ASCII text"
        if any(_repeats(text, piece) for piece in given):
            return f"the {name} repeats the input"
    if len(pickle.dumps(error)) > 1024:
        return "pickles to more than 1 KiB"
    if str(pickle.loads(pickle.dumps(error))) != str(error):
        return "changes when pickled"
    return None


def keeps_promises(reader: Callable[[Any], object], given: Any) -> str:
    """`accepted`, or `refused` where the refusal keeps every promise; anything else fails."""
    try:
        reader(given)
    except MMRawError as error:
        fault = broken_promise(error, given)
        if fault is not None:
            raise AssertionError(fault) from None
        return "refused"
    return "accepted"


def _repeats(text: str, given: Any) -> bool:
    if isinstance(given, (bytes, bytearray)):
        given = given.decode("latin-1")
    if not isinstance(given, str):
        given = repr(given)
    # The schema's own names may be said, whatever the input holds.
    for part in _schema_names().split(text):
        for start in range(len(part) - REPEATED + 1):
            if part[start : start + REPEATED] in given:
                return True
    return False
