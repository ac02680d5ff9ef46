"""`mmraw materialize`: from a ref, a features body or a whole request to PNG files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

from ..materialize import MaterializedImage, Materializer
from ..wire.check import key_in_path
from ..wire.errors import MMRawError
from ..wire.features import Features, parse_features
from ..wire.json import parse_json
from .inputs import read_text
from .options import adapters_of, add_family, add_store, check_folder, store_of
from .output import print_json, print_table, size_of

EXAMPLE = "mmraw materialize features.json --store run_x/assets/images --out pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "what", nargs="?", help="a ref, a file of a body or request, or - for standard input"
    )
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder to write to")
    add_family(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Writes one PNG per image; the first image that is refused ends the command."""
    check_folder(args.out)
    adapters = {adapter.family: adapter for adapter in adapters_of(args)}
    store = store_of(args, create=False)
    materializer = Materializer(store, cache_bytes=0, adapters=adapters)
    rows: list[dict[str, Any]] = []
    for name, ref, options, place in _refs(read_text(args.what)):
        result = _materialized(materializer, ref, options, place)
        target = args.out / f"{name}-{result.sha256[:16]}.png"
        _save(result.image, target)
        rows.append(
            {
                "file": str(target),
                "width": result.width,
                "height": result.height,
                "sha256": result.sha256,
                "rgb_sha256": result.rgb_sha256,
                "placeholder_length": result.placeholder_length,
            }
        )
    if args.json:
        print_json(rows)
    else:
        cells = [
            (
                row["file"],
                f"{row['width']}x{row['height']}",
                size_of(Path(row["file"]).stat().st_size),
            )
            for row in rows
        ]
        print_table(("picture", "size", "PNG"), cells)
    return 0


def _materialized(
    materializer: Materializer, ref: Any, options: dict[str, Any], place: str
) -> MaterializedImage:
    failed: MMRawError | None = None
    try:
        return materializer.materialize(ref, **options)
    except MMRawError as error:
        failed = error
    raise failed.at(place)


def _refs(text: str) -> list[tuple[str, Any, dict[str, Any], str]]:
    """(name, ref, what stands beside it, place) of every image."""
    if text.startswith("mmraw:"):
        return [("image", text, {}, "$")]
    found: list[tuple[str, Any, dict[str, Any], str]] = []
    features, root = _features(text)
    for number, slot in enumerate(features.slots()):
        beside = {
            "mm_hash": slot.mm_hash,
            "modality": slot.modality,
            "placeholder_length": slot.placeholder.length,
        }
        found.append(
            (
                f"{number:03d}",
                slot.ref,
                beside,
                f"{root}.kwargs_data{key_in_path(slot.modality)}[{slot.index}]",
            )
        )
    return found


def _features(text: str) -> tuple[Features, str]:
    """A features body, or that of a generate request; and its path."""
    document = parse_json(text)
    if not isinstance(document, dict) or "features" not in document:
        return parse_features(text), "$"
    failed: MMRawError | None = None
    try:
        return parse_features(cast("dict[str, Any]", document)["features"]), "$.features"
    except MMRawError as error:
        failed = error
    raise failed.at("$.features")


def _save(image: Any, target: Path) -> None:
    failed = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target)
    except OSError:
        failed = True
    if failed:
        raise MMRawError("store_permission", "the picture cannot be written to the folder")
