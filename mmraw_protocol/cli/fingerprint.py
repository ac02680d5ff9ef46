"""`mmraw fingerprint`: which line of checkpoints and which parameters a fingerprint stands for."""

from __future__ import annotations

import argparse
import re

from ..families import AUTO, get_adapter
from ..families.fingerprint_search import find_layout
from ..wire._generated.families import FAMILIES
from ..wire.errors import MMRawError
from .layouts import parameter_rows, told_layout
from .output import print_json, print_table

EXAMPLE = "mmraw fingerprint b1ef86df176daec9aa70f97d90aabaca"

_HASH = re.compile(r"[0-9a-f]{16,64}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("hash", metavar="HASH", help="the fingerprint of a ref or an envelope")
    parser.add_argument(
        "--family", choices=list(FAMILIES), help="search this family alone, which is quicker"
    )
    parser.add_argument(
        "--config", help="also tell which layout parameters differ from this configuration"
    )


def run(args: argparse.Namespace) -> int:
    """Prints what was found; 1 where no layout in use has the fingerprint, or --config differs."""
    text = args.hash.strip().lower()
    if not _HASH.fullmatch(text):
        message = f"expected 16 to 64 hex digits, got {len(text)} characters"
        raise MMRawError("invalid_value", message)
    near = get_adapter(args.family or AUTO, args.config) if args.config else None
    family = args.family or (near.family if near is not None else None)
    layout = find_layout(text, family=family, near=near)
    if layout is None:
        _tell_nothing(text, as_json=args.json)
        return 1
    sentence = told_layout(layout, near=near)
    if args.json:
        print_json({**layout._asdict(), "told": sentence})
    else:
        print(f"{layout.family}: {sentence}")
        print_table(("parameter", "value", ""), parameter_rows(layout))
    differs = near is not None and sentence.startswith("differs")
    return 1 if differs else 0


def _tell_nothing(text: str, *, as_json: bool) -> None:
    message = (
        "no published layout, and none with one or two parameters changed, has this fingerprint; "
        "compare the two configurations themselves: mmraw diff-config A B"
    )
    if as_json:
        print_json({"fingerprint": text, "told": message})
    else:
        print(f"unknown: {message}")
