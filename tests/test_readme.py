"""Tables of README.md and sizes of pages; tests/newcomer tries the commands and the example."""

import re
import subprocess
from pathlib import Path

import pytest

from mmraw_protocol.wire._generated.families import FAMILIES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_versions_of_vllm_are_those_of_the_table_of_trials() -> None:
    (row,) = re.findall(r"^\| vLLM \| ([0-9., ]+) \|", README, re.M)
    page = (ROOT / "docs" / "versions.md").read_text()
    assert row.split(", ") == re.findall(r"^\| (0\.\d+) \|", page, re.M)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_listed_with_its_lines(family: str) -> None:
    info = FAMILIES[family]
    (row,) = (line for line in README.splitlines() if f"`{family}` |" in line)
    assert row.startswith(f"| [{info.title}](docs/reference/families/{family}.md)")
    assert row.endswith(f"| {', '.join(info.lines)} |")
    why = (ROOT / "docs" / "index.md").read_text()
    assert info.title in why


def test_no_page_is_too_long_to_be_read() -> None:
    """Generated pages and the changelog, which is a list, may be longer."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().splitlines()
    lines = {name: (ROOT / name).read_text("utf-8").count("\n") for name in names}
    most = {"README.md": 120, "spec/README.md": 500}
    long = {name: count for name, count in lines.items() if count > most.get(name, 250)}
    assert len(lines) > 50
    assert not [name for name in long if not name.startswith(("CHANGELOG.md", "docs/reference/"))]
