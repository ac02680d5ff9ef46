"""`mmraw help`: the help of every command on one page, or of one command."""

from __future__ import annotations

import argparse
import pydoc
import sys

from ..wire.errors import MMRawError
from .output import print_json
from .parsing import commands_of

EXAMPLE = "mmraw help inspect"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("of", nargs="?", metavar="COMMAND", help="one command (default: all)")


def run(args: argparse.Namespace) -> int:
    """Shows the page, in the pager of the terminal where there is one."""
    from . import COMMANDS, build_parser

    if args.of is not None and args.of not in COMMANDS:
        message = "expected a command's name, got another word; mmraw -h lists them"
        raise MMRawError("invalid_value", message)
    parser = build_parser(args.of)
    found = commands_of(parser)
    pages = {} if args.of else {"": parser.format_help()}
    for name in [args.of] if args.of else found:
        pages[name] = found[name].format_help()
        pages |= {f"{name} {part}": p.format_help() for part, p in commands_of(found[name]).items()}
    if args.json:
        print_json(pages)
        return 0
    text = "\n".join(
        f"{f' mmraw {name}'.rstrip() + ' ':=^80}\n\n{page}" for name, page in pages.items()
    )
    if sys.stdout.isatty():
        pydoc.pager(text)
    else:
        print(text)
    return 0
