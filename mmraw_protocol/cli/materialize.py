"""`mmraw materialize`: turn the refs of a request, rollout or message into PNG files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from ..materialize import MaterializedImage, Materializer
from ..stores.runs import RunScope
from ..wire.check import key_in_path
from ..wire.errors import MMRawError
from ..wire.features import Features, parse_features
from ..wire.ref import parse_ref
from .contents import Thing, read_contents
from .inputs import read_text
from .options import adapters_of, add_family, add_store, check_folder, runs_of, store_of
from .output import print_json, print_table, size_of
from .url_images import UrlImages, beside, find_url_images

EXAMPLE = "mmraw materialize features.json --store run_x/assets/images --out pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "what",
        nargs="?",
        help="a ref, a file of a features body, content parts, mm_refs, messages or a request with "
        "one of them, JSON lines, any text with refs in it, or - for standard input",
    )
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder to write to")
    add_family(parser)
    add_store(parser)
    parser.add_argument(
        "--runs",
        metavar="A,B",
        help="the runs that refs may be of; --store is then the root of their directories",
    )


def run(args: argparse.Namespace) -> int:
    """Writes one PNG per image; the first image that is refused ends the command."""
    check_folder(args.out)
    adapters = {adapter.family: adapter for adapter in adapters_of(args)}
    scope = RunScope.of(args.run_id, runs_of(args) if args.runs else None)
    store = store_of(args, create=False, scope=scope)
    materializer = Materializer(store, cache_bytes=0, adapters=adapters)
    rows: list[dict[str, Any]] = []
    for one in _images(read_text(args.what, whole=True)):
        result = _materialized(materializer, one, scope)
        target = args.out / f"{one.name}-{result.sha256[:16]}.png"
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


def _materialized(materializer: Materializer, one: _Named, scope: RunScope) -> MaterializedImage:
    failed: MMRawError | None = None
    try:
        ref = parse_ref(one.ref) if isinstance(one.ref, str) else one.ref
        if ref.run_id is not None:
            # Also that of a ref with its image in it, for which no store is asked.
            scope.check(ref.run_id)
        return materializer.materialize(ref, **one.beside)
    except MMRawError as error:
        failed = error
    line = "" if one.line is None else f" (line {one.line})"
    raise MMRawError(failed.code, failed.message + line, failed.with_path_prefix(one.path).path)


class _Named(NamedTuple):
    """One image of the input.

    Attributes:
        name: Of its file.
        ref: Parsed, or as text.
        beside: What stands beside it.
        path: In its document.
        line: Of its document among JSON lines, or of the ref in a text.
    """

    name: str
    ref: Any
    beside: dict[str, Any]
    path: str
    line: int | None = None


def _images(text: str) -> list[_Named]:
    """Every image of a text."""
    things = read_contents(text)
    rows: list[_Named] = []
    for number, thing in enumerate(things):
        prefix = f"{number:03d}-" if len(things) > 1 else ""
        line = thing.places[0][0] if thing.places else thing.line
        rows += [
            one._replace(name=prefix + one.name, line=line if len(things) > 1 else None)
            for one in _of_thing(thing)
        ]
    return rows


def _of_thing(thing: Thing) -> list[_Named]:
    if thing.error is not None:
        raise thing.error
    # A string that holds JSON has paths of its own.
    root = "$" if " > " in thing.path else thing.path
    if thing.kind == "ref":
        return [_Named("image", thing.value, {}, root)]
    if thing.kind == "features":
        return _of_features(thing.value, root)
    if thing.kind == "envelope":
        message = "expected a ref, features or images by URLs; an envelope names no run and no hash"
        raise MMRawError("not_a_ref", message, root)
    document = thing.value if thing.kind == "messages" else {thing.kind: thing.value}
    found = find_url_images(document, None if thing.kind == "messages" else root)
    return [] if found is None else _of_urls(found)


def _of_features(body: Any, root: str) -> list[_Named]:
    return [
        _Named(
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
            raise MMRawError("not_a_ref", "expected a ref, got another URL", path)
        rows.append(_Named(f"{image.index:03d}", image.ref, beside(image), path))
    return rows


def _features(body: Any, root: str) -> Features:
    failed: MMRawError | None = None
    try:
        return parse_features(body)
    except MMRawError as error:
        failed = error
    raise failed.with_path_prefix(root)


def _save(image: Any, target: Path) -> None:
    failed = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target)
    except OSError:
        failed = True
    if failed:
        raise MMRawError("store_permission", "the picture cannot be written to the folder")
