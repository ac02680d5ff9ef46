"""`mmraw store`: look after a store; one file per sub-command."""

from __future__ import annotations

import argparse

from . import fsck, gc, sync

EXAMPLE = "mmraw store fsck rollouts.jsonl --store outputs/run_exp42/assets/images"

COMMANDS = (fsck, gc, sync)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands."""
    commands = parser.add_subparsers(dest="store_command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        child = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example: {module.EXAMPLE}",
        )
        # Suppressed where it is not given, so that it may stand before the sub-command as well.
        child.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for machines"
        )
        module.add_arguments(child)
        child.set_defaults(run_store=module.run)


def run(args: argparse.Namespace) -> int:
    """Runs the sub-command."""
    return int(args.run_store(args))
