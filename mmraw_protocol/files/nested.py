"""Where the bytes of JSON stand that a string of JSON holds."""

from __future__ import annotations

import re
from bisect import bisect_right
from json.encoder import encode_basestring_ascii

_ESCAPE = re.compile(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|.)",
    re.DOTALL,
)


class Positions:
    """Positions in a string, quoted, of the bytes that it says.

    Args:
        raw: The string as it stands.
    """

    def __init__(self, raw: bytes) -> None:
        self._said, self._raw = [0], [1]
        said, last = 0, 1
        for match in _ESCAPE.finditer(raw, 1, len(raw) - 1):
            said += match.start() - last + _width(match)
            last = match.end()
            self._said.append(said)
            self._raw.append(last)

    def __call__(self, said: int) -> int:
        """Where the byte with this number stands."""
        at = bisect_right(self._said, said) - 1
        return self._raw[at] + said - self._said[at]


def _width(match: re.Match[bytes]) -> int:
    """Bytes in UTF-8 of what an escape says."""
    if match[1]:
        return 4
    code = int(match[2], 16) if match[2] else 0
    return 1 if code < 0x80 else 2 if code < 0x800 else 3


def escaped(said: bytes) -> bytes:
    """A text as it stands within a string."""
    return encode_basestring_ascii(said.decode("utf-8"))[1:-1].encode("ascii")
