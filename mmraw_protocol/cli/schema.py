"""`mmraw schema`: the JSON Schemas of the protocol."""

from __future__ import annotations

import argparse

from ..wire.errors import MMRawError
from ..wire.schemas import bundles, schemas
from .output import print_json, print_table

EXAMPLE = "mmraw schema urn:mmraw:ref:v3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("name", nargs="?", help="$id of a schema; urn:mmraw: may be left out")
    parser.add_argument(
        "--bundle",
        metavar="NAME",
        help="print a schema and all that it refers to as one document, which any validator of "
        "JSON Schema 2020-12 uses alone",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the list, one schema or one bundle."""
    if args.bundle is not None:
        if args.name is not None:
            message = "expected the $id of a schema or --bundle NAME, got both"
            raise MMRawError("unsupported_option", message)
        document = bundles().get(_slug(args.bundle))
    elif args.name is None:
        _print_list(as_json=args.json)
        return 0
    else:
        known = schemas()
        document = known.get(args.name, known.get(f"urn:mmraw:{args.name}"))
    if document is None:
        kind = "schema" if args.bundle is None else "bundle"
        message = f"expected the name of a {kind}, got another; `mmraw schema` lists them"
        raise MMRawError("invalid_value", message)
    print_json(document)
    return 0


def _print_list(*, as_json: bool) -> None:
    bundled = bundles()
    rows = [
        (schema_id, _slug(schema_id) if _slug(schema_id) in bundled else None, document["title"])
        for schema_id, document in schemas().items()
    ]
    if as_json:
        print_json([{"id": i, "bundle": bundle, "title": title} for i, bundle, title in rows])
    else:
        table = [(i, bundle or "", title) for i, bundle, title in rows]
        print_table(("schema", "bundle", "title"), table)


def _slug(name: str) -> str:
    """The name of a bundle, also from the schema's `$id`."""
    return name.removeprefix("urn:mmraw:").replace(":", "-")
