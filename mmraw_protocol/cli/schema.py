"""`mmraw schema`: the JSON Schemas of the protocol."""

from __future__ import annotations

import argparse

from ..wire.errors import MMRawError
from ..wire.schemas import schemas
from .output import print_json, print_table

EXAMPLE = "mmraw schema urn:mmraw:ref:v3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("name", nargs="?", help="$id of a schema; urn:mmraw: may be left out")


def run(args: argparse.Namespace) -> int:
    """Prints the list or one schema."""
    known = schemas()
    if args.name is None:
        rows = [(schema_id, document["title"]) for schema_id, document in known.items()]
        if args.json:
            print_json([{"id": schema_id, "title": title} for schema_id, title in rows])
        else:
            print_table(("schema", "title"), rows)
        return 0
    for candidate in (args.name, f"urn:mmraw:{args.name}"):
        if candidate in known:
            print_json(known[candidate])
            return 0
    raise MMRawError("invalid_value", "no schema of that name; `mmraw schema` lists them")
