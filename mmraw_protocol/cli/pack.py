"""`mmraw pack`: chat messages as JSON become the features body of a request."""

from __future__ import annotations

import argparse

from ..conversation import environment
from ..conversation.messages import mm_data, pack_images
from ..conversation.prompts import plain_prompt
from ..wire._generated.families import DEFAULT_FAMILY
from ..wire.features import build_features
from .inputs import parse_offsets, read_messages
from .options import adapter_of, add_dialect, add_family, add_store, store_of
from .output import print_json

EXAMPLE = f"mmraw pack messages.json --family {DEFAULT_FAMILY} --storage inline --run-id exp42"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("messages", nargs="?", help="a file, or - for standard input")
    add_family(parser)
    add_store(parser)
    parser.add_argument("--storage", choices=environment.STORAGES, help="default: offload")
    add_dialect(parser)
    parser.add_argument(
        "--offsets", help="the first pad of each image in the real token ids, e.g. 5,130"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the features body."""
    messages = read_messages(args.messages)
    adapter = adapter_of(args)
    storage = args.storage or environment.storage()
    store = store_of(args, required=True) if storage == "offload" else None
    images = pack_images(messages, adapter, storage=storage, store=store)
    if args.offsets is None:
        offsets = [place.offset for place in plain_prompt(messages, images, adapter).placeholders]
    else:
        offsets = parse_offsets(args.offsets)
    data = mm_data(images, offsets)
    label = args.run_id or environment.label_of(store)
    print_json(build_features(data, args.dialect, run_id=label))
    return 0
