"""Answers of a processor or a server about an image, read as parts of its layout.

spec/families/<name>/family.json names what they say and which reading each is:

    grid_hw         h and w of the grid
    grid_thw        t, h and w of the grid
    last_patch_xy   position of the last patch, (w - 1, h - 1); of many positions, the greatest
    num_tokens      the tokens that the image becomes
    size_hw         height and width in pixels that the image is resized to

Any other name is a field of the family's payload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ..wire._generated.families import FAMILIES
from .base import GRID_KEY, Layout

_READINGS: dict[str, Callable[[Layout], Any]] = {
    "grid_hw": lambda layout: list(layout.grid_thw[1:]),
    "grid_thw": lambda layout: list(layout.grid_thw),
    "last_patch_xy": lambda layout: [[layout.grid_thw[2] - 1, layout.grid_thw[1] - 1]],
    "num_tokens": lambda layout: layout.num_tokens,
    "size_hw": lambda layout: list(layout.resized[::-1]),
}
#: Those that give the whole grid.
_OF_THE_GRID = frozenset(_READINGS) - {"num_tokens"}


def answers_of(family: str) -> Mapping[str, str | None]:
    """Returns the answers of the family's image processors, by name, with the reading of each.

    None if an answer says nothing about the layout, as pixels do.
    """
    info = FAMILIES.get(family)
    return {"pixel_values": None, GRID_KEY: "grid_thw"} if info is None else info.answers


def reading_of(reading: str, layout: Layout) -> Any:
    """The reading of one image of this layout: an integer, or a list of integers or rows."""
    read = _READINGS.get(reading)
    return getattr(layout.payload, reading) if read is None else read(layout)


def differs(said: Mapping[str, Any], names: Mapping[str, str | None], layout: Layout) -> bool:
    """True if a reading of one image differs from that of its layout.

    Args:
        said: Numbers, arrays, tensors or lists by name; other names are passed over.
        names: The reading that each name is.
        layout: The image's layout.

    Returns:
        True too if no name gives the grid and one of `names` should.
    """
    readings = {
        name: reading
        for name, reading in names.items()
        if reading is not None and said.get(name) is not None
    }
    if _OF_THE_GRID & set(names.values()) and not _OF_THE_GRID & set(readings.values()):
        return True
    try:
        return any(
            _read(reading, said[name]) != _numbers(reading_of(reading, layout))
            for name, reading in readings.items()
        )
    except (TypeError, ValueError):
        # No numbers: the renderer or the server is of another kind.
        return True


def _read(reading: str, value: Any) -> list[int]:
    numbers = _numbers(value)
    if reading == "last_patch_xy" and numbers:
        return [max(numbers[0::2]), max(numbers[1::2])]
    return numbers


def _numbers(value: Any) -> list[int]:
    """The integers of an array, a tensor, a list of them, or a number alone; in order."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, (list, tuple)):
        return [number for part in cast("list[Any]", plain) for number in _numbers(part)]
    return [int(plain)]
