"""Tables of README.md; its commands and its example are tried by tests/newcomer."""

import re
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
