"""The command line: `mmraw COMMAND …`; one thin file per command.

Exit codes: 0 all well; 1 an input was refused; 2 the command was called wrongly; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from .._version import __version__
from ..wire.errors import MMRawError
from .output import print_error
from .parsing import Parser, Program, commands_of

#: Each command (the module of that name) and its help; the module is imported where it runs.
COMMANDS = {
    "demo": "send real pictures over the wire in every way, verify them, and write a report",
    "pack": (
        "turn chat messages (JSON) into the features body of a request; without --offsets the"
        " placeholders count every special token as one token and every other UTF-8 byte as "
        "one"
    ),
    "generate": (
        "send a conversation to a server (POST /inference/v1/generate) and print the answer; "
        "the released renderers package makes the prompt, or --token-ids and --offsets bring "
        "your own"
    ),
    "inspect": "verify and explain refs and documents, also within logs and other texts",
    "materialize": "turn a ref or a features body back into verified pictures in a folder",
    "fingerprint": "find the line of checkpoints and the parameters that a fingerprint stands for",
    "diff-config": "show which layout parameters of two configurations differ",
    "layout": "show the grid and the tokens of a size (640x480) or an image file",
    "validate": (
        "check every ref, envelope and features body in files (JSON or JSON lines, of any size)"
    ),
    "stats": (
        "count the images of files: refs by dialect and family, tokens, bytes, duplicates, sizes"
    ),
    "store": "look after a store of images: check it, collect what nothing refers to, copy it",
    "schema": "list the JSON Schemas of the protocol, or print one",
    "conformance": (
        "answer the conformance protocol (serve), or hold any implementation to it (run)"
    ),
    "compat": "list every change between two versions of spec/, and whom it breaks",
    "doctor": "check this installation: extras and versions, the store, a self-test of the vectors",
    "completion": "print a completion script for a shell",
    "help": "show the help of every command on one page",
    "convert": (
        "move every ref in files (JSON, JSON lines or plain refs, of any size) to another dialect"
    ),
    "offload": (
        "store every data: image in files (JSON or JSON lines) once and put its URL in its place"
    ),
    "inline": (
        "put every image of a store back into files (JSON or JSON lines), in place of its URL"
    ),
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser with every command, or with the options of one alone ("" for none)."""
    parser = Program(
        prog="mmraw",
        description="The contract by which images travel through multimodal RL.",
        epilog="mmraw COMMAND -h explains one command, mmraw help all of them. Example: mmraw demo "
        "(carries real pictures over the wire and verifies them). Exit codes: 0 all well, 1 an "
        "input was refused, 2 called wrongly, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"mmraw-protocol {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    for name, text in COMMANDS.items():
        if only is not None and name != only:
            commands.add_parser(name, help=text)
            continue
        module = importlib.import_module(f".{name.replace('-', '_')}", __package__)
        child = commands.add_parser(
            name, help=text, description=text, epilog=f"example: {module.EXAMPLE}"
        )
        child.add_argument("--json", action="store_true", help="print JSON for machines")
        module.add_arguments(child)
        child.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    _open_streams()
    arguments = sys.argv[1:] if argv is None else argv
    # Options before a command take no values, so the first word is the command.
    command = next((word for word in arguments if not word.startswith("-")), "")
    parser = build_parser(command)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        # The command's own parser knows the options that may have been meant.
        commands_of(parser)[command].error(f"unrecognized arguments: {' '.join(unknown)}")
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
    """Streams that take what commands print.

    A process that was started without them (`<&-`, `>&-`) gets streams of nothing. A name that the
    terminal's encoding does not know is printed with escapes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    streams: tuple[object, object] = (sys.stdout, sys.stderr)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
