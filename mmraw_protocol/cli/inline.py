"""`mmraw inline`: stored images go back into rollout files as data: URLs."""

from __future__ import annotations

import argparse
from typing import cast

from ..files import InlineJob, StoreSpec
from .options import add_store
from .rewriting import add_rewriting, run_rewriting, store_place
from .seen import DATA_IMAGES

EXAMPLE = "mmraw inline rollouts.jsonl --store run_exp42/assets/images --out whole.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    add_rewriting(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Inlines; 1 where an image or a document was refused."""
    store = cast(StoreSpec, store_place(args, required=True, create=False))
    return run_rewriting(args, InlineJob(store=store), "inlined", images=True, others=DATA_IMAGES)
