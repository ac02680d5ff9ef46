"""`mmraw layout`: the grid and the tokens of a size or an image."""

from __future__ import annotations

import argparse
import re
from typing import Any

import msgspec

from ..families import Adapter, families, get_adapter
from ..images import ImageSource
from ..wire._generated.families import DEFAULT_FAMILY
from ..wire.errors import MMRawError
from .inputs import read_image
from .options import adapters_of, add_family
from .output import error_dict, print_json, print_table

EXAMPLE = f"mmraw layout 1920x1080 photo.jpg --family {DEFAULT_FAMILY}"

_SIZE = re.compile(r"([0-9]{1,10})x([0-9]{1,10})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "what", nargs="+", metavar="WxH|IMAGE", help="a size, an image, or - for standard input"
    )
    add_family(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a row for each image and family; 1 where a family refuses one."""
    adapters = adapters_of(args) or [get_adapter(name) for name in families()]
    # Standard input is read once, however many families look at it.
    images = [(what, read_image(what)) for what in args.what]
    rows = [_row(what, image, adapter) for what, image in images for adapter in adapters]
    if args.json:
        print_json(rows)
    else:
        columns = ("image", "family", "size", "grid_thw", "tokens", "placeholder", "resized")
        print_table(columns, [_cells(row, columns) for row in rows])
    return 1 if any("error" in row for row in rows) else 0


def _row(what: str, image: str | bytes, adapter: Adapter) -> dict[str, Any]:
    row: dict[str, Any] = {"image": what, "family": adapter.family}
    try:
        width, height = _size_of(image)
        layout = adapter.layout(width, height)
    except MMRawError as error:
        return {**row, "error": error_dict(error)}
    row |= {"width": width, "height": height, "fingerprint": adapter.fingerprint()}
    return row | msgspec.to_builtins(layout)


def _size_of(image: str | bytes) -> tuple[int, int]:
    if isinstance(image, str) and (match := _SIZE.fullmatch(image)):
        return int(match.group(1)), int(match.group(2))
    header = ImageSource.open(image).header
    return header.width, header.height


def _cells(row: dict[str, Any], columns: tuple[str, ...]) -> list[str]:
    if "error" in row:
        reason = f"refused: {row['error']['code']}: {row['error']['message']}"
        return [row["image"], row["family"], reason, "", "", "", ""]
    values = {
        **row,
        "size": f"{row['width']}x{row['height']}",
        "grid_thw": "x".join(map(str, row["grid_thw"])),
        "tokens": row["num_tokens"],
        "placeholder": row["placeholder_length"],
        "resized": "x".join(map(str, row["resized"])),
    }
    return [str(values[column]) for column in columns]
