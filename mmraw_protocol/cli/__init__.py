"""The command line: `mmraw COMMAND …`; one thin file per command.

Exit codes: 0 all well; 1 an input was refused; 2 the command was called wrongly; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from .._version import __version__
from ..errors import MMRawError
from . import (
    compat,
    completion,
    conformance,
    convert,
    demo,
    doctor,
    generate,
    inline,
    inspect,
    layout,
    materialize,
    offload,
    pack,
    schema,
    store,
    validate,
)
from .output import print_error

COMMANDS = (
    demo,
    pack,
    generate,
    inspect,
    materialize,
    layout,
    validate,
    store,
    schema,
    conformance,
    compat,
    doctor,
    completion,
    convert,
    offload,
    inline,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command."""
    parser = argparse.ArgumentParser(
        prog="mmraw",
        description="The contract by which images travel through multimodal RL.",
        epilog="example: mmraw demo (carries real pictures over the wire and verifies them); "
        "exit codes: 0 all well, 1 an input was refused, 2 called wrongly, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"mmraw-protocol {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        child = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example: {module.EXAMPLE}",
        )
        child.add_argument("--json", action="store_true", help="print JSON for machines")
        module.add_arguments(child)
        child.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    _open_streams()
    args = build_parser().parse_args(argv)
    try:
        code = _run(args)
        # Here and not at exit, where nobody is left to say what went wrong.
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (head, less); what was not yet printed goes nowhere, silently.
        _discard_output()
        return 0
    except OSError as error:
        reason = error.strerror or "unknown reason"
    _discard_output()
    print(f"mmraw: cannot read the input or write the output: {reason}", file=sys.stderr)
    return 1


def _run(args: argparse.Namespace) -> int:
    failed: MMRawError | None = None
    try:
        return args.run(args)
    except MMRawError as error:
        failed = error
    print_error(failed, as_json=args.json)
    return 1


def _open_streams() -> None:
    """Gives a process that was started without them (`<&-`, `>&-`) streams of nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _discard_output() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
