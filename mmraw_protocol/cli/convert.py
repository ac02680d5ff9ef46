"""`mmraw convert`: every ref in files, JSON or JSON lines, in another dialect."""

from __future__ import annotations

import argparse

from ..conversation import environment
from ..files import ConvertJob
from ..wire._generated.dialects import DEFAULT_DIALECT, DIALECTS
from .options import add_store
from .rewriting import add_rewriting, run_rewriting, store_place

EXAMPLE = "mmraw convert old.jsonl --to v3 --run-id exp42 --out new.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_rewriting(parser)
    parser.add_argument(
        "--to", choices=DIALECTS, default=DEFAULT_DIALECT, help=f"default: {DEFAULT_DIALECT}"
    )
    parser.add_argument(
        "--config",
        help="preprocessor_config.json, a checkpoint's folder, or a preset's name: needed where "
        "a fingerprint moves to another scheme and is not that of the defaults",
    )
    parser.add_argument(
        "--storage",
        choices=environment.STORAGES,
        help="for v3: store inline images (offload) or take stored ones in (inline)",
    )
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Converts; 1 where a ref or a document was refused."""
    job = ConvertJob(
        to=args.to,
        run_id=args.run_id,
        config=args.config,
        store=store_place(args, required=False),
        storage=args.storage,
    )
    return run_rewriting(args, job, "converted")
