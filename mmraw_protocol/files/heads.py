"""Which strings of a JSON document are looked at: those that begin in one of a few ways."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: A quoted string is decided on with this many bytes at hand, or at the end of the input.
_ESCAPE_LENGTH = len("\\u006d")


class Heads:
    r"""The beginnings of the strings that a rewriter wants to see.

    A beginning is found however it is spelt: `m` may stand as `\u006d`, `/` as `\/`.

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
        self.window = 1 + max(map(len, texts)) * _ESCAPE_LENGTH
        self.bare = tuple(text.encode("ascii") for text in bare)
        flags = re.IGNORECASE if any_case else 0
        firsts = {char for text in texts for char in _cases(text[0], any_case)}
        #: For a character class: what a wanted string may begin with, and the backslash.
        self.first_bytes = re.escape("".join(sorted(firsts)).encode("ascii")) + rb"\\"
        self._plain = re.compile(b'"(?:' + b"|".join(map(_literal, texts)) + b")", flags)
        spelt = b"|".join(_spelt(text, any_case) for text in texts)
        self._spelt = re.compile(b'"(?:' + spelt + b")")

    def begins(self, data: bytes, start: int) -> bool:
        """Whether a wanted string opens with the quote at `start`."""
        return self._spelt.match(data, start) is not None

    def opens(self, text: bytes) -> bool:
        """Whether a text that stands without quotes and escapes begins as wanted."""
        return self._plain.match(b'"' + text) is not None

    def all_in(self, data: bytes) -> Iterable[re.Match[bytes]]:
        """Where a wanted string seems to open: quotes that are escaped are among them."""
        escaped = b"\\u00" in data or b"\\/" in data
        return (self._spelt if escaped else self._plain).finditer(data)


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
