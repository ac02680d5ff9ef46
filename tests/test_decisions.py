"""Decision records have one form, and the index lists each of them."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).parent.parent / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Alternatives", "Consequences"]


def heading(record: Path) -> tuple[str, str]:
    """The number and the title of a record."""
    match = re.match(r"# (\d+)\. (.+)\n", record.read_text("utf-8"))
    assert match is not None, f"{record.name} begins with `# N. Title`"
    return match.group(1), match.group(2)


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_date_status_and_four_sections(record: Path) -> None:
    text = record.read_text("utf-8")
    assert re.search(r"^Date: \d{4}-\d{2}-\d{2}\. Status: \w+", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", record.stem)
    assert int(heading(record)[0]) == int(record.stem[:4])


def test_numbers_have_no_gap_and_the_index_lists_each_record() -> None:
    numbers = [int(heading(record)[0]) for record in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))
    index = (DECISIONS / "index.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|$", index, re.MULTILINE)
    assert rows == [(*heading(record), record.name) for record in RECORDS]
