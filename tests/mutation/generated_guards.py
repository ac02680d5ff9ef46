"""Each condition of the generated readers of canonical texts, found in their text and dropped."""

import re
from pathlib import Path

from guard import Guard

CHECKS = "mmraw_protocol/wire/_generated/checks.py"
_FUNCTION = re.compile(
    r"^def (fits_\w+)\(.*?^    return \(\n(.*?)^    \)$", re.MULTILINE | re.DOTALL
)
_LIMITS = "limits.name_chars", "limits.raw_image_id_bytes", "limits.grid_patches", "fits_source("


def _tests(name: str, condition: str) -> str:
    """The tests that must notice."""
    if name.endswith("_payload") and "limits." not in condition:
        files = "tests/test_spelling.py tests/test_writing.py tests/test_canonical_readers.py"
        return f"{files} -k payloads"
    if "_FITS_PAYLOAD" in condition or any(limit in condition for limit in _LIMITS):
        return "tests/test_limits.py -k keep_every_limit"
    if "allows_few_values" in condition:
        return "tests/test_few_values.py"
    return "tests/test_canonical_readers.py"


def guards(root: Path) -> list[Guard]:
    """A guard for each condition of each function."""
    found: list[Guard] = []
    for match in _FUNCTION.finditer((root / CHECKS).read_text(encoding="utf-8")):
        name, body = match.groups()
        conditions = body.rstrip("\n").split("\n        and ")
        conditions[0] = conditions[0].strip()
        for index, condition in enumerate(conditions):
            kept = [*conditions[:index], "True", *conditions[index + 1 :]]
            new = match[0].replace(body, "        " + "\n        and ".join(kept) + "\n")
            title = f"{name}: {condition.replace('value.', '')}"
            found.append(Guard(title, CHECKS, match[0], new, _tests(name, condition)))
    return found
