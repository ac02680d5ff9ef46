"""Makes the environment of tests/environments/NAME.lock once and prints the path of its Python.

usage: python3 tests/environments/install.py NAME

Some tests run beside software whose pins do not go with the development environment's, or that is
too large for it. Each such environment is kept under
${XDG_CACHE_HOME:-~/.cache}/mmraw-protocol/NAME-<hash>, where the hash covers the lock, this file
and the Python: another lock makes another environment, and the same lock is installed once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# torch is pinned by version and not by hash: the same version comes as several builds (CPU only,
# one per CUDA release), each with a hash of its own, and a machine has the one that fits it.
# It goes wherever torchvision goes.
TORCH = "torch==2.13.0"


def cache_folder() -> Path:
    """The folder in which environments are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mmraw-protocol"


def environment_of(name: str) -> Path:
    """The folder of the environment under the present lock."""
    lock = FOLDER / f"{name}.lock"
    parts = (lock.read_bytes(), Path(__file__).read_bytes(), sys.version.encode())
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return cache_folder() / f"{name}-{digest[:16]}"


def install(name: str) -> Path:
    """The environment's Python; makes the environment where it is not whole."""
    folder = environment_of(name)
    python, done = folder / "bin" / "python", folder / ".installed"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A second run waits for the first, and an environment that was cut off is made again.
    with open(folder.parent / f"{folder.name}.lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            # The lock names everything: nothing is resolved again, nothing comes in beside it.
            lock = FOLDER / f"{name}.lock"
            pip(python, "--no-deps", "--require-hashes", "-r", str(lock))
            if "\ntorchvision==" in lock.read_text(encoding="utf-8"):
                pip(python, "--no-deps", TORCH)
            done.touch()
    return python


def pip(python: Path, *arguments: str) -> None:
    """`pip install`, its output on standard error."""
    options = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    subprocess.run([python, *options, *arguments], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    print(install(sys.argv[1]))
