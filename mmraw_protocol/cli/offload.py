"""`mmraw offload`: the data: images of rollout files go into a store."""

from __future__ import annotations

import argparse

from ..files import OffloadJob
from .options import add_store
from .rewriting import add_rewriting, run_rewriting, store_place

EXAMPLE = "mmraw offload rollouts.jsonl --store run_exp42/assets/images --in-place"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_rewriting(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Offloads; 1 where an image or a document was refused."""
    store = None if args.dry_run else store_place(args, required=True)
    others = {} if store is None else {f'"{store.url_start()}'.encode(): "images of this store"}
    return run_rewriting(args, OffloadJob(store=store), "offloaded", images=True, others=others)
