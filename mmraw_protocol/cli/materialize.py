"""`mmraw materialize`: from refs, wherever a request, rollout or message has them, to PNG files."""

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
from .url_images import UrlImages, beside, find_url_images

EXAMPLE = "mmraw materialize features.json --store run_x/assets/images --out pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "what",
        nargs="?",
        help="a ref, a file of a features body, content parts, mm_refs, messages or a request with "
        "one of them, or - for standard input",
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


#: (name, ref, what stands beside it, place) of an image.
_Named = tuple[str, Any, dict[str, Any], str]


def _refs(text: str) -> list[_Named]:
    """Every image of a text."""
    if text.startswith("mmraw:"):
        return [("image", text, {}, "$")]
    document = parse_json(text)
    body: Any = document
    is_request = isinstance(document, dict) and "features" in document
    if is_request:
        body = cast("dict[str, Any]", document)["features"]
    if not isinstance(body, dict) or "kwargs_data" not in body:
        found = find_url_images(document)
        if found is not None:
            return _of_urls(found)
    root = "$.features" if is_request else "$"
    return [
        (
            f"{number:03d}",
            slot.ref,
            {
                "mm_hash": slot.mm_hash,
                "modality": slot.modality,
                "placeholder_length": slot.placeholder.length,
            },
            f"{root}.kwargs_data{key_in_path(slot.modality)}[{slot.index}]",
        )
        for number, slot in enumerate(_features(body, root).slots())
    ]


def _of_urls(found: UrlImages) -> list[_Named]:
    rows: list[_Named] = []
    for image, path in zip(found.images, found.paths, strict=True):
        if image.ref is None:
            raise MMRawError("not_a_ref", "only refs are materialized; this is another URL", path)
        rows.append((f"{image.index:03d}", image.ref, beside(image), path))
    return rows


def _features(body: Any, root: str) -> Features:
    failed: MMRawError | None = None
    try:
        return parse_features(body)
    except MMRawError as error:
        failed = error
    raise failed.at(root)


def _save(image: Any, target: Path) -> None:
    failed = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target)
    except OSError:
        failed = True
    if failed:
        raise MMRawError("store_permission", "the picture cannot be written to the folder")
