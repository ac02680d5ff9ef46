"""`mmraw completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse

from ..wire.extras import extra_module
from .fish import fish_script
from .output import print_json

EXAMPLE = "mmraw completion bash >> ~/.bashrc"

SHELLS = ("bash", "zsh", "tcsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("shell", choices=SHELLS)


def run(args: argparse.Namespace) -> int:
    """Prints the script.

    Raises:
        MMRawError: missing_dependency.
    """
    from . import build_parser

    if args.shell == "fish":
        script = fish_script(build_parser())
    else:
        shtab = extra_module("shtab", "cli", "for completion scripts")
        script = str(shtab.complete(build_parser(), shell=args.shell))
    if args.json:
        print_json({"shell": args.shell, "script": script})
    else:
        print(script)
    return 0
