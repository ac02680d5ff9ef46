"""Builds wheel and sdist twice, in different folders, and holds them to be the same bytes.

`python tests/release/reproducible.py OUT`: what was built stays in OUT.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(source: Path, out: Path) -> dict[str, str]:
    """sha256 of each file that a build of `source` gives, by name."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}


def main() -> int:
    """Prints the hashes; 1 where two builds differ."""
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    first = build(ROOT, out)
    with tempfile.TemporaryDirectory() as folder:
        # The second build starts from the sdist alone, elsewhere: nothing of the checkout leaks in.
        sdist = next(out.glob("*.tar.gz"))
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        second = build(next(Path(folder).iterdir()), Path(folder) / "dist")
    for name, digest in sorted(first.items()):
        print(f"{digest}  {name}")
    if first != second:
        print("two builds differ", file=sys.stderr)
        return 1
    print("built twice, the same bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
