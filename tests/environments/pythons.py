"""Runs the tests that are named on every Python from 3.10 to 3.14 that is found here.

usage: python3 tests/environments/pythons.py tests/test_refs.py …

A Python is found on PATH or among those of pyenv. Each has an environment of its own
(install.py), of wheels alone: where one is missing for a Python, it is named and passed over.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
MINORS = range(10, 15)
NO_WHEEL = "No matching distribution found"


def candidates(minor: int) -> Iterator[str]:
    """Commands that may be Python 3.`minor`."""
    found = shutil.which(f"python3.{minor}")
    if found:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted(pyenv.glob(f"versions/3.{minor}.*"), reverse=True):
        yield str(folder / "bin" / "python")


def works(command: str, minor: int) -> bool:
    """True if it starts with the version of its name, and can make environments."""
    program = f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
    try:
        return subprocess.run([command, "-c", program], capture_output=True).returncode == 0
    except OSError:
        return False


def verdict(command: str, tests: list[str]) -> str:
    """Runs the tests on one Python and returns the result."""
    install = [command, str(HERE / "install.py"), "core"]
    environment = {**os.environ, "PIP_ONLY_BINARY": ":all:"}
    made = subprocess.run(install, env=environment, capture_output=True, text=True)
    if made.returncode:
        sys.stderr.write(made.stderr)
        return "no wheels" if NO_WHEEL in made.stderr else "failed"
    options = ["-q", "-n", "2", "-p", "no:cacheprovider", "--hypothesis-profile", "quick"]
    done = subprocess.run([made.stdout.strip(), "-B", "-m", "pytest", *options, *tests])
    return "failed" if done.returncode else "passed"


def main(tests: list[str]) -> int:
    """1 where the tests fail on some Python, or none is found."""
    verdicts: list[str] = []
    for minor in MINORS:
        command = next((it for it in candidates(minor) if works(it, minor)), None)
        found = "not here" if command is None else verdict(command, tests)
        print(f"Python 3.{minor}: {found}", flush=True)
        verdicts.append(found)
    return 0 if "passed" in verdicts and "failed" not in verdicts else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
