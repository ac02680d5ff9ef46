"""`mmraw diff-config`: which layout parameters of two configurations differ."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..families import AUTO, Adapter, get_adapter
from ..wire._generated.families import FAMILIES
from ..wire.errors import MMRawError
from .layouts import parameters_of
from .output import counted, print_json, print_table

EXAMPLE = "mmraw diff-config checkpoints/renderer checkpoints/server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    text = "a processor's file, a checkpoint's folder, its hub id in the cache, or a preset"
    parser.add_argument("first", metavar="A", help=text)
    parser.add_argument("second", metavar="B", help="the same")
    parser.add_argument("--family", choices=list(FAMILIES), help="of both, where they name none")


def run(args: argparse.Namespace) -> int:
    """Prints each layout parameter; 1 where any differs, as `diff` does."""
    first, second = (_adapter(args, name) for name in ("first", "second"))
    left, right = parameters_of(first), parameters_of(second)
    names = sorted({*left, *right})
    differing = [name for name in names if left.get(name) != right.get(name)]
    same = first.family == second.family and not differing
    if args.json:
        sides = [_side(first, left), _side(second, right)]
        print_json({"same": same, "differing": differing, "configurations": sides})
        return 0 if same else 1
    print(_verdict(first, second, differing))
    rows: list[tuple[Any, ...]] = [
        (
            name,
            _shown(left, name),
            _shown(right, name),
            "differs" if name in differing else "",
        )
        for name in names
    ]
    rows += [("fingerprint", first.fingerprint(), second.fingerprint(), "" if same else "differs")]
    print_table(("parameter", "A", "B", ""), rows)
    return 0 if same else 1


def _adapter(args: argparse.Namespace, name: str) -> Adapter:
    failed: MMRawError | None = None
    try:
        return get_adapter(args.family or AUTO, getattr(args, name))
    except MMRawError as error:
        failed = error
    side = "A" if name == "first" else "B"
    raise MMRawError(failed.code, f"configuration {side}: {failed.message}", failed.path)


def _verdict(first: Adapter, second: Adapter, differing: list[str]) -> str:
    if first.family != second.family:
        return f"different families: A is of {first.family}, B of {second.family}"
    if not differing:
        return f"the same layout: family {first.family}, fingerprint {first.fingerprint()}"
    return f"they differ in {counted(len(differing), 'layout parameter')}: {', '.join(differing)}"


def _side(adapter: Adapter, values: dict[str, Any]) -> dict[str, Any]:
    return {"family": adapter.family, "fingerprint": adapter.fingerprint(), "parameters": values}


def _shown(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "-"
