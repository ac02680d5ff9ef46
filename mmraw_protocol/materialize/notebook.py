"""Display of refs, features and images in notebooks: a small picture under its grid, and fields.

Notebooks call `_repr_html_` of the last value of a cell. Nothing is read from a store or a network:
a picture is shown if the object itself carries it. Every text is escaped, and cut.
"""

from __future__ import annotations

import base64
import io
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from ..families import get_adapter
from ..images import decode_rgb
from ..stores.verify import read_verified
from ..wire.errors import MMRawError

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..families import Adapter
    from ..families.grid import Grid
    from ..images import DecodedImage
    from ..wire.features_model import Features
    from ..wire.ref_model import RawMMRef

#: Longest side of a picture, in pixels, and closest lines of a grid.
_SIDE, _CLOSEST = 256, 4
#: Most characters of a value, and images of a features body that are shown.
_MOST_TEXT, _MOST_IMAGES = 80, 8

_Size = tuple[float, float]


def ref_html(ref: RawMMRef) -> str:
    """A ref with the picture that it carries; of a stored image the grid alone.

    Returns:
        HTML of at most 100,000 characters. A ref whose image is not the one that it names is shown
        with the error instead of the picture.
    """
    return _block(*_drawn(ref), _fields(ref))


def features_html(features: Features) -> str:
    """The images of a features body with their placeholder ranges; the first 8 are shown."""
    count = sum(map(len, features.refs.values()))
    blocks = [f"<p>{count} image{'' if count == 1 else 's'}</p>"]
    for slot in islice(features.slots(), _MOST_IMAGES):
        placeholder = f"offset {slot.placeholder.offset}, length {slot.placeholder.length}"
        fields = {"modality": slot.modality, "placeholder": placeholder, **_fields(slot.ref)}
        blocks.append(_block(*_drawn(slot.ref), fields))
    if count > _MOST_IMAGES:
        blocks.append(f"<p>{count - _MOST_IMAGES} more are not shown</p>")
    return "".join(blocks)


def image_html(image: DecodedImage, ref: RawMMRef, adapter: Adapter, **beside: object) -> str:
    """A verified image under the grid of the adapter that it was compared with.

    Args:
        image: Its pixels.
        ref: The ref that it came from.
        adapter: Says how the family divides it.
        beside: Further fields, by the names that are shown.
    """
    size_text = f"{image.width} x {image.height}"
    fields = {"size": size_text, "format": image.format, **beside, **_fields(ref)}
    size = image.width, image.height
    try:
        layout = adapter.layout(*size)
    except MMRawError as error:  # the image was admitted under wider limits than the default
        return _block(_svg(None, size, image.picture), error, fields)
    # Some families fill the picture up before they divide it.
    wide, high = (whole / part for whole, part in zip(layout.resized, layout.content, strict=True))
    filled = size[0] * wide, size[1] * high
    return _block(_svg(layout.grid_thw, filled, image.picture), None, fields)


def _drawn(ref: RawMMRef) -> tuple[str, MMRawError | None]:
    """Picture and grid of a ref, and why there is no picture."""
    grid = _grid_of(ref)
    failed, picture = None, None
    if ref.is_inline:
        try:
            picture = decode_rgb(read_verified(ref), frames="first").picture
        except MMRawError as error:
            failed = error
    _, rows, columns = grid or (1, 1, 1)
    size = (columns, rows) if picture is None else picture.size
    return _svg(grid, size, picture), failed


def _grid_of(ref: RawMMRef) -> Grid | None:
    """None for a payload that no adapter here reads."""
    try:
        return get_adapter(ref.family).grid_thw(ref.payload)
    except MMRawError:
        return None


def _fields(ref: RawMMRef) -> dict[str, object]:
    grid = _grid_of(ref)
    return {
        "family": ref.family,
        "grid": None if grid is None else " x ".join(map(str, grid)),
        "mm_hash": ref.mm_hash,
        "fingerprint": ref.fingerprint,
        "run_id": ref.run_id,
        "dialect": ref.dialect,
        "source": "inline" if ref.is_inline else f"stored as {ref.stored_name}",
    }


def _block(drawing: str, failed: MMRawError | None, fields: dict[str, object]) -> str:
    rows = fields if failed is None else {"error": f"{failed.code}: {failed.message}", **fields}
    table = "".join(
        f'<tr><th style="text-align:left">{_text(name)}</th>'
        f'<td style="text-align:left;font-family:monospace">{_text(value)}</td></tr>'
        for name, value in rows.items()
        if value is not None
    )
    style = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
    return f'<div style="{style}">{drawing}<table>{table}</table></div>'


def _text(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}...")


def _svg(grid: Grid | None, size: _Size, picture: Image | None) -> str:
    """A drawing: the picture at the top left of an area of `size`, and lines between the cells."""
    if grid is None and picture is None:
        return ""
    scale = _SIDE / max(size)
    width, height = (max(1, round(side * scale)) for side in size)
    inside = ""
    if picture is not None:
        shown = [max(1, round(side * scale)) for side in picture.size]
        inside = (
            f'<image width="{shown[0]}" height="{shown[1]}" preserveAspectRatio="none" '
            f'href="data:image/jpeg;base64,{_thumbnail(picture, shown)}"/>'
        )
    path = "" if grid is None else _lines(grid, width, height)
    lines = f'<path d="{path}" stroke="#d33" stroke-opacity=".7" stroke-width=".6" fill="none"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="picture and grid" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"{inside}{lines}</svg>"
    )


def _lines(grid: Grid, width: int, height: int) -> str:
    """The path of the lines between rows and columns."""
    _, rows, columns = grid
    across = [f"M0 {at:.1f}H{width}" for at in _places(rows, height)]
    down = [f"M{at:.1f} 0V{height}" for at in _places(columns, width)]
    return "".join(across + down)


def _places(count: int, length: int) -> list[float]:
    """Places of the lines between `count` cells; every second, fourth, … if they are too close."""
    step = 1
    while length * step < _CLOSEST * count and step < count:
        step *= 2
    return [number * length / count for number in range(0, count + 1, step)]


def _thumbnail(picture: Image, size: list[int]) -> str:
    """Base64 of a small JPEG, without any metadata of the picture."""
    buffer = io.BytesIO()
    # Pillow's types leave this method's unknown.
    cast("Any", picture).resize(size).save(buffer, "JPEG", quality=75)
    return base64.b64encode(buffer.getvalue()).decode()
