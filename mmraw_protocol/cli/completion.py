"""`mmraw completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
import contextlib

from ..wire.errors import MMRawError
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

    script: str | None = fish_script(build_parser()) if args.shell == "fish" else None
    with contextlib.suppress(ImportError):
        import shtab

        script = script or shtab.complete(build_parser(), shell=args.shell)
    if script is None:
        message = "install mmraw-protocol[cli] for completion scripts"
        raise MMRawError("missing_dependency", message)
    if args.json:
        print_json({"shell": args.shell, "script": script})
    else:
        print(script)
    return 0
