"""Draws the grid of each family: one picture, laid out with the published layout parameters.

A drawing follows from the layout alone, so that the same code gives the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmraw_protocol.families import Layout, get_adapter, named_grid
from mmraw_protocol.wire._generated.families import FAMILIES

#: The picture's width and height in pixels: a photograph of a small camera.
PICTURE = (640, 480)
#: The width of a drawing's grid, in units of the drawing; the rest follows from it.
WIDTH = 640
#: Space for the marks of rows and between tiles and thumbnail, and for the caption.
MARGIN, CAPTION = 12, 24

_FONT = 'font-family="sans-serif" font-size="14" fill="#1b1f24"'

#: The picture itself: a sky, a sun, two hills.
_SCENE = (
    '<svg viewBox="0 0 64 48" preserveAspectRatio="none" x="{x}" y="{y}" width="{w}" height="{h}">'
    '<rect width="64" height="48" fill="#bcd9ee"/><circle cx="47" cy="12" r="6" fill="#f2c14e"/>'
    '<path d="M0 34Q14 16 30 32T64 26V48H0Z" fill="#7ba05b"/>'
    '<path d="M0 42Q20 30 40 41T64 38V48H0Z" fill="#557a46"/></svg>'
)


def write(folder: Path) -> None:
    """Writes <family>.svg for every built-in family."""
    for family in FAMILIES:
        (folder / f"{family}.svg").write_text(drawing(family), encoding="utf-8")


def drawing(family: str) -> str:
    """The grid of `PICTURE` as an SVG document."""
    adapter: Any = get_adapter(family)
    layout = adapter.layout(*PICTURE)
    high = WIDTH * layout.resized[1] / layout.resized[0]
    _, rows, columns = layout.grid_thw
    extra = _thumbnails(family, layout, WIDTH / columns, high / rows)
    ends = _row_ends(family, rows, high)
    across = WIDTH + bool(ends) * 2 * MARGIN + len(extra) * (MARGIN + WIDTH / columns)
    content = (
        WIDTH * layout.content[0] / layout.resized[0],
        high * layout.content[1] / layout.resized[1],
    )
    lines = [_lines(rows, columns, 1, high, "#ffffff", 0.5)] if adapter.merge_size > 1 else []
    lines.append(_lines(rows, columns, adapter.merge_size, high, "#1b1f24", 1.2))
    parts = [
        f'<rect width="{_n(across)}" height="{_n(high + CAPTION)}" fill="#ffffff"/>',
        f'<rect width="{WIDTH}" height="{_n(high)}" fill="#c4c8cd"/>',
        _scene(0, 0, *content),
        *lines,
        *extra,
        *ends,
        f'<text {_FONT} x="2" y="{_n(high + 17)}">{_caption(family, layout)}</text>',
    ]
    box = f'viewBox="0 0 {_n(across)} {_n(high + CAPTION)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n' + "\n".join(parts) + "\n</svg>\n"


def _caption(family: str, layout: Layout) -> str:
    grid = ", ".join(
        f"{name} {'x'.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in named_grid(family, layout).items()
    )
    span = f", a span of {layout.placeholder_length}"
    shown = span if layout.placeholder_length != layout.num_tokens else ""
    width, height = PICTURE
    return f"{width}x{height} pixels: {grid}; {layout.num_tokens} tokens{shown}"


def _lines(rows: int, columns: int, step: int, high: float, color: str, width: float) -> str:
    across = [f"M0 {_n(high * row / rows)}H{WIDTH}" for row in range(0, rows + 1, step)]
    down = [f"M{_n(WIDTH * col / columns)} 0V{_n(high)}" for col in range(0, columns + 1, step)]
    path = "".join(across + down)
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def _thumbnails(family: str, layout: Layout, wide: float, high: float) -> list[str]:
    """The picture once more for each tile beside those of the grid."""
    grid = named_grid(family, layout)
    if "tiles_hw" not in grid:
        return []
    rows, columns = grid["tiles_hw"]
    places = range(grid["num_patches"] - rows * columns)
    found = [WIDTH + MARGIN + place * (wide + MARGIN) for place in places]
    frame = (
        f'y="0.6" width="{_n(wide - 1.2)}" height="{_n(high - 1.2)}" fill="none" stroke="#1b1f24"'
    )
    return [_scene(x, 0, wide, high) + f'<rect x="{_n(x + 0.6)}" {frame}/>' for x in found]


def _row_ends(family: str, rows: int, high: float) -> list[str]:
    """A mark behind each row that a token ends."""
    if not FAMILIES[family].placeholder.row_end:
        return []
    step = high / rows
    size = f'x="{WIDTH + MARGIN // 2}" width="{MARGIN}" height="{_n(0.6 * step)}"'
    colors = ["#0a53be"] * (rows - 1) + ["#a40e26"]
    return [
        f'<rect {size} y="{_n((row + 0.2) * step)}" fill="{color}"/>'
        for row, color in enumerate(colors)
    ]


def _scene(x: float, y: float, wide: float, high: float) -> str:
    return _SCENE.format(x=_n(x), y=_n(y), w=_n(wide), h=_n(high))


def _n(value: float) -> str:
    """A number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
