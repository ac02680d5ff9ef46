"""Runs the code blocks of a page in their order: `python tests/pages.py PAGE`, in an empty folder.

A block of Python is followed by the output that it must print; a `console` block has commands and
theirs. Needs no more than the package, so that it runs where a reader would run the page.
"""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"^```(python|console)\n(.*?)^```\n(?:\n?```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


def compare(want: str, got: str, place: str) -> None:
    """Output as the page shows it; `...` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not doctest.OutputChecker().check_output(want, got, flags):
        raise AssertionError(f"{place}\n--- the page says\n{want}\n--- it printed\n{got}")


def run_python(code: str, names: dict[str, Any], want: str, place: str) -> None:
    """A block in the page's namespace."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, place, "exec"), names)
    compare(want, output.getvalue(), place)


def run_console(block: str, folder: Path, place: str) -> None:
    """Each `$ command` of a block, and what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, want = part.partition("\n")
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
        )
        compare(want, done.stdout + done.stderr, f"{place}: $ {command}")


def run_page(page: Path, folder: Path) -> None:
    """Every block of the page; the working directory is `folder`."""
    text = page.read_text("utf-8")
    blocks = list(_BLOCK.finditer(text))
    assert blocks
    names: dict[str, Any] = {"__name__": "page"}
    for match in blocks:
        place = f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}"
        kind, code, want = match.groups()
        if kind == "python":
            run_python(code, names, want or "", place)
        else:
            run_console(code, folder, place)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]), Path.cwd())
