"""Released schema files never change; `python -m mmraw_protocol.specdiff.released` checks that.

spec/RELEASED.json lists them: `{"releases": [{"specification": "1.0", "files": {path: sha256}}]}`,
paths relative to spec/, the newest release last. Without an option every listed file is checked;
`--release VERSION` adds a release with every schema file there is, for the commit that releases it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..wire.schemas import spec_folder
from .sources import is_schema

NAME = "RELEASED.json"

#: The generated schema that grows by an entry with each family (spec/VERSIONING.md).
GROWS = "families/families.schema.json"


def check_released(folder: Path | None = None) -> Iterator[str]:
    """Yields everything that is wrong with the released files, as `file: what is wrong`."""
    root = folder or spec_folder()
    versions: set[str] = set()
    for release in _releases(root):
        version = str(release["specification"])
        if version in versions:
            yield f"{NAME}: {version} is listed twice"
        versions.add(version)
        for path, digest in release["files"].items():
            file = root / path
            if not file.is_file():
                yield f"{path}: released with {version} and missing"
            elif _sha256(file) != digest:
                yield f"{path}: released with {version} and changed"


def release(version: str, folder: Path | None = None) -> list[str]:
    """Lists every schema file under `version`; their paths.

    Raises:
        ValueError: the version is listed already, or a released file has changed.
    """
    root = folder or spec_folder()
    faults = list(check_released(root))
    releases = _releases(root)
    if faults or any(known["specification"] == version for known in releases):
        raise ValueError("; ".join(faults) or f"{version} is released already")
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.json"))
    frozen = [path for path in paths if is_schema(path) and path != GROWS]
    files = {path: _sha256(root / path) for path in frozen}
    document = {"releases": [*releases, {"specification": version, "files": files}]}
    (root / NAME).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return list(files)


def _releases(root: Path) -> list[dict[str, Any]]:
    return json.loads((root / NAME).read_text(encoding="utf-8"))["releases"]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main(argv: Sequence[str]) -> int:
    """Checks, or releases; 1 where something is wrong."""
    faults: list[str] = []
    if argv[:1] == ["--release"] and len(argv) == 2:
        try:
            sys.stdout.write(f"{len(release(argv[1]))} files released with {argv[1]}\n")
        except ValueError as error:
            faults.append(str(error))
    elif argv:
        sys.stderr.write("usage: python -m mmraw_protocol.specdiff.released [--release VERSION]\n")
        return 2
    else:
        faults.extend(check_released())
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
