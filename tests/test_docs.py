"""The documentation runs: every code block of a page that says so, with the output it shows."""

from pathlib import Path

import pytest
from pages import run_page

DOCS = Path(__file__).parent.parent / "docs"
MARK = "<!-- Every block of this page is executed by the tests. -->"
PAGES = sorted(path for path in DOCS.glob("*.md") if MARK in path.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_runs_as_it_stands(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


def test_the_tutorial_is_among_them() -> None:
    assert "tutorial.md" in {path.name for path in PAGES}
