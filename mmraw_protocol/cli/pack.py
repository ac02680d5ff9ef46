"""`mmraw pack`: chat messages as JSON become what requests and rollouts carry of their images."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

from ..conversation import environment
from ..conversation.image_refs import content_parts, ref_messages
from ..conversation.messages import mm_data, pack_images
from ..conversation.prompts import stand_in_prompt
from ..conversation.url_conversion import features_to_mm_refs
from ..wire._generated.families import DEFAULT_FAMILY
from ..wire.features import build_features
from .inputs import parse_offsets, read_messages
from .options import (
    adapter_of,
    add_dialect,
    add_family,
    add_preparation,
    add_store,
    store_of,
    tell_notes,
)
from .output import print_json

FORMS = ("features", "content-parts", "messages", "mm-refs")
EXAMPLE = f"mmraw pack messages.json --family {DEFAULT_FAMILY} --storage inline --run-id exp42"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("messages", nargs="?", help="a file, or - for standard input")
    add_family(parser)
    add_store(parser)
    parser.add_argument("--storage", choices=environment.STORAGES, help="default: offload")
    add_dialect(parser)
    add_preparation(parser)
    parser.add_argument(
        "--as",
        dest="form",
        choices=FORMS,
        default=FORMS[0],
        help="the features body of a request (default); its content parts, with refs as URLs; the "
        "messages with refs as URLs; the mm_refs of a rollout",
    )
    parser.add_argument(
        "--skip-unknown",
        action="store_true",
        help="leave out what looks like an image and cannot be read, and say how many there were",
    )
    parser.add_argument(
        "--offsets", help="the first pad of each image in the real token ids, e.g. 5,130"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the images in the form that is asked for."""
    messages = read_messages(args.messages)
    adapter = adapter_of(args)
    storage = args.storage or environment.storage()
    store = store_of(args, required=True) if storage == "offload" else None
    label = args.run_id or environment.label_of(store)
    skipped: Counter[str] | None = Counter() if args.skip_unknown else None
    packing: dict[str, Any] = {
        "storage": storage,
        "store": store,
        "skipped": skipped,
        "orientation": args.orientation,
        "alpha": args.alpha,
    }
    noted: Counter[str] = Counter()
    if args.form in ("messages", "content-parts"):
        made = ref_messages(
            messages, adapter, run_id=label, dialect=args.dialect, noted=noted, **packing
        )
        _tell(skipped, noted)
        skipped = None if skipped is None else Counter()
        print_json(made if args.form == "messages" else content_parts(made, skipped=skipped))
        return 0
    images = pack_images(messages, adapter, **packing)
    noted.update(note for image in images for note in image.notes)
    _tell(skipped, noted)
    if args.offsets is None:
        offsets = [
            place.offset for place in stand_in_prompt(messages, images, adapter).placeholders
        ]
    else:
        offsets = parse_offsets(args.offsets)
    body = build_features(mm_data(images, offsets), args.dialect, run_id=label)
    adapters = {adapter.family: adapter}
    print_json(body if args.form == FORMS[0] else features_to_mm_refs(body, adapters=adapters))
    return 0


def _tell(skipped: Counter[str] | None, noted: Counter[str]) -> None:
    for code, count in sorted((skipped or {}).items()):
        print(f"mmraw: skipped {count} x {code}", file=sys.stderr)
    tell_notes(noted)
