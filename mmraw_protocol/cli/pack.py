"""`mmraw pack`: chat messages as JSON become the features body of a request."""

from __future__ import annotations

import argparse
from typing import Any, cast

from .. import environment
from ..assets import AssetStore, LocalStore
from ..codec import parse_json
from ..errors import MMRawError
from ..features import build_features
from ..messages import mm_data, pack_images
from ..prompts import plain_prompt
from .inputs import read_text
from .options import adapter_of, add_family, add_store, store_of
from .output import print_json

NAME = "pack"
HELP = (
    "turn chat messages (JSON) into the features body of a request; without --offsets the "
    "placeholders count every special token as one token and every other UTF-8 byte as one"
)
EXAMPLE = "mmraw pack messages.json --family qwen_vl --storage inline --run-id exp42"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("messages", nargs="?", help="a file, or - for standard input")
    add_family(parser)
    add_store(parser)
    parser.add_argument("--storage", choices=environment.STORAGES, help="default: offload")
    parser.add_argument("--dialect", default="v3", help="v3 (default) or v2")
    parser.add_argument(
        "--offsets", help="the first pad of each image in the real token ids, e.g. 5,130"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the features body."""
    messages = _messages(read_text(args.messages))
    adapter = adapter_of(args)
    storage = args.storage or environment.storage()
    store = store_of(args, required=True) if storage == "offload" else None
    images = pack_images(messages, adapter, storage=storage, store=store)
    if args.offsets is None:
        offsets = [place.offset for place in plain_prompt(messages, images, adapter).placeholders]
    else:
        offsets = _offsets(args.offsets)
    data = mm_data(images, offsets)
    label = args.run_id or _label(store)
    print_json(build_features(data, args.dialect, run_id=label))
    return 0


def _messages(text: str) -> list[Any]:
    document = parse_json(text)
    if isinstance(document, dict):
        document = cast("dict[str, Any]", document).get("messages")
    if not isinstance(document, list):
        raise MMRawError("invalid_type", "expected a list of messages, or an object that has one")
    return cast("list[Any]", document)


def _label(store: AssetStore | None) -> str:
    directory = store.root if isinstance(store, LocalStore) else None
    return environment.run_label(directory, inline=store is None)


def _offsets(text: str) -> list[int]:
    numbers = text.replace(" ", "").split(",")
    if not all(number.isascii() and number.isdigit() and len(number) < 16 for number in numbers):
        raise MMRawError("placeholder_invalid", "--offsets is a list of numbers like 5,130")
    return [int(number) for number in numbers]
