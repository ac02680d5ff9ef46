"""The documentation runs: every code block of a page that says so, with the output it shows."""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
MARK = "<!-- Every block of this page is executed by the tests. -->"
PAGES = sorted(path for path in DOCS.glob("*.md") if MARK in path.read_text("utf-8"))

_BLOCK = re.compile(
    r"^```(python|console)\n(.*?)^```\n(?:\n?```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


def compare(want: str, got: str, place: str) -> None:
    """Output as the page shows it; `...` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not doctest.OutputChecker().check_output(want, got, flags):
        pytest.fail(f"{place}\n--- the page says\n{want}\n--- it printed\n{got}")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_runs_as_it_stands(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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
            run_console(code, tmp_path, place)


def test_the_tutorial_is_among_them() -> None:
    assert "tutorial.md" in {path.name for path in PAGES}
