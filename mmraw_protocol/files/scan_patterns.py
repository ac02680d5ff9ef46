"""Strings that the scanner finds, and the patterns of plain JSON that it skips at once."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from .prefixes import StringPrefixes

#: Longer keys are not reported with a matched string.
_KEY_CHARS = 64
#: Bytes of the longest spelling of such a key, quotes included.
KEY_WINDOW = 2 + 6 * _KEY_CHARS
#: A number or literal that is longer is refused rather than collected.
SCALAR_BYTES = 1 << 16
_WS = rb"[ \t\r\n]*"
PLAIN = rb'[^"\\\x00-\x1f]'
ESCAPE = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_SCALAR = (
    rb"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    rb"|true|false|null|NaN|-?Infinity)"
)
SPACE = re.compile(_WS)
STRING_BODY = re.compile(rb"(?:" + PLAIN + rb"+|" + ESCAPE + rb"){0,1024}")
_KEY = rb'("(?:' + PLAIN + rb"|" + ESCAPE + rb'){0,%d}")' % _KEY_CHARS
#: A key and, where it is at hand, the colon behind it.
KEY_AND_COLON = re.compile(_KEY + rb"(" + _WS + rb":)?")
#: The key that ends where the search does.
KEY_AT_END = re.compile(_KEY + rb"\Z")
SCALAR_TEXT = re.compile(_SCALAR + rb"(?=[ \t\r\n,\]}]|\Z)")


class StringMatch(NamedTuple):
    """A string that begins as wanted.

    Attributes:
        raw: Its bytes in the document, quotes included.
        text: What it says; None where it is longer than allowed, and `raw` then its beginning.
        key: The key it stands under, decoded; None in arrays and under very long keys.
        line, column: Where it opens, both from 1; columns count bytes.
        bare: It stands on a line of its own without quotes.
    """

    raw: bytes
    text: str | None
    key: str | None
    line: int
    column: int
    bare: bool = False


def plain_runs(prefixes: StringPrefixes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Up to 64 members of an array, of an object: plain values, each with its comma.

    A string is plain if it holds no escapes and does not begin as wanted.
    """
    unwanted = prefixes.first_bytes
    plain = rb"(?:" + _SCALAR + rb'|"(?![' + unwanted + rb"])" + PLAIN + rb'*")'
    member = plain + _WS + rb"," + _WS
    key = rb'"' + PLAIN + rb'*"' + _WS + rb":" + _WS
    space = rb"(?:" + _WS + rb")"
    return (
        re.compile(space + rb"(?:" + member + rb"){1,64}"),
        re.compile(space + rb"(?:" + key + member + rb"){1,64}"),
    )


def decode_string(raw: bytes) -> str:
    """The text of a quoted string; its syntax and UTF-8 are known to be right."""
    if b"\\" not in raw:
        return raw[1:-1].decode("utf-8", "replace")
    return json.loads(raw)
