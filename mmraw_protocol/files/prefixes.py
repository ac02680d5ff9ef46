"""Which strings of a JSON document are looked at: those that begin in one of a few ways."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ESCAPE_LENGTH = len("\\u006d")
#: How a string begins that may hold JSON: an array, an object or a string.
_JSON = rb'(?P<json>(?: |\\[nrt]){0,8}(?:[\[{]|\\(?:"|u00(?:22|5[Bb]|7[Bb]))))'
_JSON_LENGTH = 24
#: A string that begins in some way. No backslash precedes the quote that opens it.
_WHOLE = rb'"(?<!\\")(?:%b)[^"\\]*(?:\\.[^"\\]*)*"(?![ \t\r\n]*:)'
_json = re.compile(b'"' + _JSON)
_json_text = re.compile(rb'[ \n\r\t]{0,8}["\[{]')


def may_be_json_text(text: bytes) -> bool:
    """Whether a text without quotes and escapes may be JSON."""
    return _json_text.match(text) is not None


class StringPrefixes:
    r"""The beginnings of the strings that a rewriter wants to see.

    A beginning is found however it is spelt: `m` may stand as `\u006d`, `/` as `\/`. Strings that
    may hold JSON are wanted, too: for what is in them.

    Args:
        beginnings: ASCII texts, for example `mmraw:`.
        any_case: Letters match in either case.
        bare: Those that also open a line without quotes, which then is a document (lists of refs).
        keys: Tell the key under which a string stands.
    """

    def __init__(
        self,
        beginnings: Iterable[str],
        *,
        any_case: bool = False,
        bare: Iterable[str] = (),
        keys: bool = False,
    ) -> None:
        self.keys = keys
        texts = sorted(set(beginnings))
        #: A quoted string is decided on with this many bytes at hand, or at the end of the input.
        self.window = max(1 + max(map(len, texts)) * _ESCAPE_LENGTH, _JSON_LENGTH)
        self._marks = tuple({re.split(r"[:/]", text)[0].lower().encode() for text in texts})
        self.bare = tuple(text.encode("ascii") for text in bare)
        flags = re.IGNORECASE if any_case else 0
        firsts = {char for text in texts for char in _cases(text[0], any_case)}
        #: For a character class: what a wanted string may begin with, and the backslash.
        self.first_bytes = re.escape("".join(sorted(firsts)).encode("ascii")) + rb" \[{\\"
        plain = b"|".join([*map(_literal, texts), _JSON])
        self._plain = re.compile(b'"(?:' + plain + b")", flags)
        spelt = b"|".join([*(_spelt(text, any_case) for text in texts), _JSON])
        self._spelt = re.compile(b'"(?:' + spelt + b")")
        self._strings = re.compile(_WHOLE % plain, flags | re.DOTALL)
        self._spelt_strings = re.compile(_WHOLE % spelt, re.DOTALL)

    def begins(self, data: bytes, start: int) -> bool:
        """Whether a wanted string opens with the quote at `start`."""
        return self._spelt.match(data, start) is not None

    def opens(self, text: bytes) -> bool:
        """Whether a text that stands without quotes and escapes begins as wanted."""
        match = self._plain.match(b'"' + text)
        return match is not None and match["json"] is None

    def may_be_json(self, raw: bytes) -> bool:
        """Whether a string, quoted, is wanted only for JSON that it may hold."""
        return _json.match(raw) is not None

    def may_be_in(self, raw: bytes) -> bool:
        """Whether a wanted string may stand in JSON that a string holds."""
        lower = raw.lower()
        return b"\\u00" in lower or any(mark in lower for mark in self._marks)

    def all_in(self, data: bytes) -> Iterable[re.Match[bytes]]:
        """Every wanted string in JSON, quotes included; keys are none."""
        escaped = b"\\u00" in data or b"\\/" in data
        return (self._spelt_strings if escaped else self._strings).finditer(data)


def _literal(text: str) -> bytes:
    return re.escape(text.encode("ascii"))


def _spelt(text: str, any_case: bool) -> bytes:
    """A pattern for every way in which JSON can spell `text`."""
    return b"".join(_character(char, any_case) for char in text)


def _character(char: str, any_case: bool) -> bytes:
    chars = _cases(char, any_case)
    spellings = [_literal(one) for one in chars]
    spellings += [rb"\\u00(?i:%02x)" % ord(one) for one in chars]
    if char == "/":
        spellings.append(rb"\\/")
    return b"(?:" + b"|".join(sorted(spellings)) + b")"


def _cases(char: str, any_case: bool) -> set[str]:
    return {char, char.lower(), char.upper()} if any_case else {char}
