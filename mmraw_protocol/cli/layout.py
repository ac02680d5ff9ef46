"""`mmraw layout`: the grid and the tokens of a size or an image."""

from __future__ import annotations

import argparse
import re
from typing import Any

import msgspec

from ..adapters import Adapter, families, get_adapter
from ..errors import MMRawError
from ..images import ImageSource
from .options import adapters_of, add_family
from .output import error_dict, print_json, print_table

EXAMPLE = "mmraw layout 1920x1080 photo.jpg --family kimi_k25"

_SIZE = re.compile(r"([0-9]{1,10})x([0-9]{1,10})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("what", nargs="+", metavar="WxH|IMAGE")
    add_family(parser)
    parser.set_defaults(family=None)


def run(args: argparse.Namespace) -> int:
    """Prints a row for each image and family; 1 where a family refuses one."""
    adapters = adapters_of(args) or [get_adapter(name) for name in families()]
    rows = [_row(what, adapter) for what in args.what for adapter in adapters]
    if args.json:
        print_json(rows)
    else:
        columns = ("image", "family", "size", "grid_thw", "tokens", "placeholder", "resized")
        print_table(columns, [_cells(row, columns) for row in rows])
    return 1 if any("error" in row for row in rows) else 0


def _row(what: str, adapter: Adapter) -> dict[str, Any]:
    row: dict[str, Any] = {"image": what, "family": adapter.family}
    try:
        width, height = _size_of(what)
        layout = adapter.layout(width, height)
    except MMRawError as error:
        return {**row, "error": error_dict(error)}
    row |= {"width": width, "height": height, "fingerprint": adapter.fingerprint()}
    return row | msgspec.to_builtins(layout)


def _size_of(what: str) -> tuple[int, int]:
    if match := _SIZE.fullmatch(what):
        return int(match.group(1)), int(match.group(2))
    header = ImageSource.open(what).header
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
