"""`mmraw pack`: chat messages as JSON become the features body of a request."""

from __future__ import annotations

import argparse
from typing import Any, cast

from .. import environment
from ..assets import AssetStore, LocalStore
from ..codec import parse_json
from ..errors import MMRawError
from ..features import MultiModalData, build_features
from ..messages import PackedImage, pack_images
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
    placeholders: list[Any] = list(plain_prompt(messages, images, adapter).placeholders)
    if args.offsets is not None:
        placeholders = _with_offsets(args.offsets, images)
    data = MultiModalData(
        mm_hashes={"image": [image.mm_hash for image in images]},
        mm_placeholders={"image": placeholders},
        mm_items={"image": [image.item for image in images]},
    )
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


def _with_offsets(text: str, images: list[PackedImage]) -> list[dict[str, int]]:
    numbers = text.replace(" ", "").split(",")
    if not all(number.isascii() and number.isdigit() and len(number) < 16 for number in numbers):
        raise MMRawError("placeholder_invalid", "--offsets is a list of numbers like 5,130")
    if len(numbers) != len(images):
        raise MMRawError("lengths_differ", "--offsets must name one offset for each image")
    lengths = (image.description.placeholder_length for image in images)
    return [
        {"offset": int(number), "length": length}
        for number, length in zip(numbers, lengths, strict=True)
    ]
