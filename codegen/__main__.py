"""`python -m codegen` writes the generated files; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import (
    emit_bundles,
    emit_checks,
    emit_families,
    emit_family_pages,
    emit_messages,
    emit_modalities,
    emit_prose,
    emit_reference,
    emit_strategies,
    emit_tables,
    emit_types,
    emit_typescript,
)
from .build import build
from .load import BUNDLED, LISTING, listing, load_spec
from .subset import SchemaError

ROOT = Path(__file__).resolve().parent.parent

PYTHON = "mmraw_protocol/wire/_generated"
REFERENCE = "docs/reference/wire"
FAMILY_PAGES = "docs/reference/families"
TYPESCRIPT = "typescript/src/generated"
#: Folders in which every file is generated.
FOLDERS = (PYTHON, REFERENCE, FAMILY_PAGES, TYPESCRIPT, f"spec/{BUNDLED}")


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Every generated file, by its path below `root`."""
    model = build(load_spec(root / "spec"))
    python: dict[str, str] = {}
    emitters = (
        emit_types,
        emit_checks,
        emit_tables,
        emit_families,
        emit_modalities,
        emit_messages,
        emit_strategies,
    )
    for emitter in emitters:
        python |= emitter.emit(model)
    texts = {
        PYTHON: python,
        REFERENCE: emit_reference.emit(model),
        FAMILY_PAGES: emit_family_pages.emit(model),
        TYPESCRIPT: emit_typescript.emit(model),
        "spec": {
            LISTING: listing(model.spec.schemas, list(model.spec.families)),
            **emit_bundles.emit(model),
        },
        "": emit_prose.emit(model, root),
    }
    return {
        Path(folder) / name: text for folder, files in texts.items() for name, text in files.items()
    }


def _orphans(root: Path, files: dict[Path, str]) -> list[Path]:
    """Files of an earlier run that spec/ no longer gives rise to."""
    found = [path.relative_to(root) for name in FOLDERS for path in (root / name).glob("*.*")]
    return [path for path in found if path not in files]


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Writes or checks; 0 where all is as it should be, 1 on drift, 2 on a bad schema."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on drift")
    args = parser.parse_args(argv)
    try:
        files = generated(root)
    except SchemaError as error:
        print(f"codegen: {error}", file=sys.stderr)
        return 2
    drifted: list[str] = []
    for relative, text in files.items():
        path = root / relative
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        drifted.append(relative.as_posix())
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for relative in _orphans(root, files):
        drifted.append(relative.as_posix())
        if not args.check:
            (root / relative).unlink()
    verb = "differs from spec/" if args.check else "brought up to date"
    for name in drifted:
        print(f"codegen: {name} {verb}", file=sys.stderr)
    if drifted and args.check:
        print("codegen: run `make generate` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
