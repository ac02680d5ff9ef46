"""Short `repr` of objects for logs, without the picture that they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from os import PathLike
from typing import Any, cast

#: Characters of a whole object, and of one of its values.
_MOST, _MOST_VALUE = 300, 72
#: Items of a tuple that are shown one by one.
_MOST_ITEMS = 4


class Shown:
    """`repr` and `str` of at most 300 characters; `_shown` says what is in them."""

    __slots__ = ()

    def _shown(self) -> Mapping[str, object]:
        """Returns what is shown of this object, by name; by default the fields of a struct."""
        names = cast("tuple[str, ...]", getattr(self, "__struct_fields__", ()))
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={_text(value)}" for name, value in self._shown().items())
        return _cut(f"{type(self).__name__}({inside})", _MOST)


def _text(value: Any) -> str:
    if isinstance(value, str):
        # Cut first: the whole may be an image.
        return _cut(repr(_cut(value, _MOST_VALUE)), _MOST_VALUE)
    if isinstance(value, PathLike):
        # A store cannot be found by half of its path.
        return repr(str(cast("PathLike[str]", value)))
    if value is None or isinstance(value, (bool, int, float, Shown)):
        return _cut(repr(value), _MOST_VALUE)
    kind = type(value).__name__
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{memoryview(cast(bytes, value)).nbytes} bytes>"
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        if len(items) <= _MOST_ITEMS:
            return _cut(f"({', '.join(map(_text, items))})", _MOST_VALUE)
    if isinstance(value, Sized):
        return f"<{kind} of {len(cast(Sized, value))}>"
    return f"<{kind}>"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
