"""Options that several commands share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..conversation import environment
from ..wire._generated.dialects import DEFAULT_DIALECT, WRITABLE
from ..wire._generated.families import DEFAULT_FAMILY, FAMILIES
from ..wire.errors import MMRawError
from .output import counted

if TYPE_CHECKING:
    from ..families import Adapter
    from ..materialize.verification import Verifier
    from ..stores import AssetStore
    from ..stores.runs import RunScope


def add_family(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """--family, --config, --placeholder."""
    parser.add_argument(
        "--family",
        required=required,
        help=f"family of image layouts: {', '.join(FAMILIES)}, or one of a package of yours "
        f"(default: that of --config, else {DEFAULT_FAMILY})",
    )
    parser.add_argument(
        "--config",
        help="a processor's file, a checkpoint's folder, its hub id in the cache, a preset",
    )
    parser.add_argument(
        "--placeholder",
        choices=sorted({name for info in FAMILIES.values() for name in info.conventions}),
        help="the placeholder convention, where the family has several; the first is the default: "
        + "; ".join(
            f"{n}: {', '.join(i.conventions)}" for n, i in FAMILIES.items() if i.conventions
        ),
    )


def add_dialect(parser: argparse.ArgumentParser) -> None:
    """--dialect."""
    parser.add_argument(
        "--dialect",
        choices=WRITABLE,
        default=DEFAULT_DIALECT,
        help=f"dialect of refs (default: {DEFAULT_DIALECT})",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store, --run-id."""
    parser.add_argument(
        "--store",
        help=f"images directory or store URL (default: {environment.IMAGE_DIR}, "
        f"or assets/images below {environment.RUN_DIR})",
    )
    parser.add_argument("--run-id", help="label of the run")
    add_modes(parser)


def add_verification(parser: argparse.ArgumentParser) -> None:
    """--store, --run-id, --runs, --config, --family, --verify."""
    group = parser.add_argument_group("verification, beyond what needs no store")
    group.add_argument(
        "--store", help="images directory or store URL: stored images are read and compared"
    )
    group.add_argument("--run-id", help="the run that refs must be of")
    group.add_argument(
        "--runs",
        metavar="A,B",
        help="the runs that refs may be of; --store is then the root of their directories",
    )
    group.add_argument(
        "--config",
        help="the configuration that refs must be of: a processor's file, a checkpoint's folder, "
        "its hub id in the cache, a preset",
    )
    group.add_argument("--family", help="the family of --config, where it does not say")
    group.add_argument(
        "--verify",
        action="store_true",
        help="decode each image that is at hand too, and name a store for the others",
    )


def runs_of(args: argparse.Namespace) -> list[str] | None:
    """The runs that --run-id or --runs name; None where neither is given.

    Raises:
        MMRawError: unsupported_option (both).
    """
    runs = getattr(args, "runs", None)
    if runs is not None and args.run_id is not None:
        raise MMRawError("unsupported_option", "expected --run-id or --runs, got both")
    if runs is not None:
        return [run for run in runs.split(",") if run]
    return None if args.run_id is None else [args.run_id]


def verifier_of(args: argparse.Namespace, *, each: bool = False) -> Verifier:
    """Returns the verifier that --store, --run-id, --runs, --config and --verify ask for.

    Raises:
        MMRawError: store_invalid, invalid_run_id, unsupported_option, and what a configuration
            raises.
    """
    from ..families import AUTO, get_adapter
    from ..materialize.verification import Verifier
    from ..stores import open_store

    runs = runs_of(args)
    store = None
    place = args.store or (environment.image_dir() if args.verify else None)
    if place is not None:
        # Read alone: one that is missing is a mistake, and is not made.
        scope: dict[str, Any] = {"run_id": args.run_id} if args.runs is None else {"run_ids": runs}
        # Workers may have another working directory.
        place = place if "://" in str(place) else os.path.abspath(place)
        store = open_store(place, create=False, **scope)
    adapters: dict[str, Adapter] = {}
    if args.config or args.family:
        adapter = get_adapter(args.family or AUTO, args.config)
        adapters[adapter.family] = adapter
    return Verifier(store, run_ids=runs, adapters=adapters, decode=args.verify, each=each)


def add_preparation(parser: argparse.ArgumentParser) -> None:
    """--orientation, --alpha."""
    parser.add_argument(
        "--orientation",
        choices=("as-stored", "apply"),
        default="as-stored",
        help="pictures that their EXIF says are turned: as they stand (default), or turned",
    )
    parser.add_argument(
        "--alpha",
        choices=("refuse", "drop", "white"),
        default="refuse",
        help="images that are not fully opaque: refuse them (default), drop alpha, put on white",
    )


_NOTES = {
    "orientation_kept": "turned by EXIF, packed as stored (--orientation apply)",
    "orientation_applied": "turned as EXIF says",
    "alpha_dropped": "not fully opaque, alpha dropped",
    "alpha_on_white": "not fully opaque, put on white",
}


def tell_notes(noted: Mapping[str, int]) -> None:
    """Says on standard error what became of orientation and alpha."""
    for note, count in sorted(noted.items()):
        print(f"mmraw: {counted(count, 'image')} {_NOTES[note]}", file=sys.stderr)


def add_modes(parser: argparse.ArgumentParser) -> None:
    """--file-mode, --dir-mode."""
    for what, example in (("file", "0664"), ("dir", "2775")):
        parser.add_argument(
            f"--{what}-mode",
            type=_mode,
            metavar="OCTAL",
            help=f"permissions of what is made in a store's directory, for example {example}",
        )


def check_folder(out: Path) -> None:
    """Refuses an --out that cannot be a folder: pictures do not go into one stream.

    Raises:
        MMRawError: unsupported_option.
    """
    if str(out) == "-" or (out.exists() and not out.is_dir()):
        message = "expected --out to be a folder for several files, got a stream or a file"
        raise MMRawError("unsupported_option", message)


def modes_of(args: argparse.Namespace) -> dict[str, Any]:
    """The permissions that the options name, as `open_store` takes them."""
    given = {"file_mode": args.file_mode, "dir_mode": args.dir_mode}
    return {name: mode for name, mode in given.items() if mode is not None}


def _mode(text: str) -> int:
    from ..stores.modes import parse_mode

    try:
        return parse_mode(text)
    except MMRawError as error:
        message = error.message
    raise argparse.ArgumentTypeError(message)


def add_processes(parser: argparse.ArgumentParser) -> None:
    """--processes."""
    parser.add_argument(
        "-p",
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="processes that share the lines of a file, this one among them (default: 1)",
    )


def add_quiet(parser: argparse.ArgumentParser, *, facts: bool = False) -> None:
    """--quiet, and --report, which may say what the images are."""
    more = ", with dialects, families, tokens, duplicates and bytes of the images" if facts else ""
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help=f"write what --json prints to a file, too{more}",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def _processes(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 256:
        raise argparse.ArgumentTypeError("a number from 1 to 256")
    return number


def adapter_of(args: argparse.Namespace) -> Adapter:
    """The adapter that the options ask for.

    Raises:
        MMRawError: unknown_family, invalid_config, unsupported_option.
    """
    from ..families import AUTO, get_adapter

    family = args.family or (AUTO if args.config else DEFAULT_FAMILY)
    return get_adapter(family, args.config, placeholder=args.placeholder)


def adapters_of(args: argparse.Namespace) -> list[Adapter]:
    """The adapter of --family or --config; none without them, which leaves it to the input.

    Raises:
        MMRawError: unsupported_option (--placeholder alone), and what `adapter_of` raises.
    """
    if args.family or args.config:
        return [adapter_of(args)]
    if args.placeholder:
        message = "expected --family or --config with --placeholder, got neither"
        raise MMRawError("unsupported_option", message)
    return []


def store_of(
    args: argparse.Namespace,
    *,
    required: bool = False,
    create: bool = True,
    scope: RunScope | None = None,
) -> AssetStore | None:
    """The store that the options or the environment name, for the runs of `scope`.

    Raises:
        MMRawError: store_invalid, store_permission.
    """
    from ..stores import open_store

    place = args.store or environment.image_dir()
    if place is None:
        if required:
            message = f"expected a store in --store or {environment.IMAGE_DIR}, got none"
            raise MMRawError("store_invalid", message)
        return None
    options = modes_of(args)
    if not create:
        options["create"] = False
    if scope is not None:
        runs = None if scope.run_ids is None else sorted(scope.run_ids)
        options |= {"run_id": scope.run_id, "run_ids": runs}
    return open_store(place, **options)
