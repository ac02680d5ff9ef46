"""Tries the plugin with servers of each version of vLLM that it is for.

usage: python3 tests/environments/matrix.py [--write docs/versions.md] [VERSION...]

Real servers of tiny random models on the CPU, one version after the other. Without VERSION, all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from install import FOLDER, install
from operators import install_over_operators

ROOT = FOLDER.parent.parent
#: The environment of each version. Of the newest there is no CPU build.
VERSIONS = {"0.30": "vllm-0.30", "0.31": "released", "0.32": "vllm", "0.33": "vllm-0.33"}
OVER_OPERATORS = ("0.33",)
#: The subjects of the tests, by the file that has them.
TRIED = {
    "test_plugin": "refs as image URLs",
    "test_content_parts": "refs in content parts",
    "test_qwen": "features, Qwen3-VL",
    "test_kimi": "features, Kimi K2.5",
    "test_identity": "names",
    "test_refusals": "refusals",
    "test_start": "start",
}

#: Passed and all tests of one file.
Counts = Mapping[str, tuple[int, int]]

_PAGE = """# Versions of vLLM

The plugin is for vLLM 0.30 to 0.33. It looks at the version when a server starts: an older one does
not start, a newer one starts with a warning. `make vllm-matrix` tried each with real, unmodified
servers of tiny random models on a CPU, and wrote this page: tests that passed, of those that there
are; an empty cell was not tried.

{table}

Of {over} there is no CPU build; its Python ran over the compiled operators of the last one.
"""


def main() -> int:
    """Prints the table; 1 where a test failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    given = parser.parse_args()
    found = {version: tried(version) for version in given.versions or VERSIONS}
    text = table(found)
    print(text)
    if given.write is not None:
        page = _PAGE.format(table=text, over=" and ".join(OVER_OPERATORS))
        given.write.write_text(page, encoding="utf-8")
    counts = [count for files in found.values() for count in files.values()]
    return int(
        any(passed != every for passed, every in counts) or not all(map(len, found.values()))
    )


def tried(version: str) -> Counts:
    """Runs the tests in the environment of a version."""
    name = VERSIONS[version]
    python = (install_over_operators if version in OVER_OPERATORS else install)(name)
    tests = [f"tests/e2e/{file}.py" for file in TRIED]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [python, "-m", "pytest", "-q", "--confcutdir=tests/e2e", f"--junitxml={report}"]
        paths = os.pathsep.join(("tests/e2e/shim", "."))
        environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
        subprocess.run(
            [*command, *tests], cwd=ROOT, env=environment, stdout=sys.stderr, check=False
        )
        return counted(report) if report.exists() else {}


def counted(report: Path) -> Counts:
    """Counts by file the tests that passed, in a report of pytest's."""
    passed, every = Counter[str](), Counter[str]()
    for case in ET.parse(report).getroot().iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2]
        every[file] += case.find("skipped") is None
        passed[file] += not len(case)
    return {file: (passed[file], every[file]) for file in every}


def table(found: Mapping[str, Counts]) -> str:
    """Versions beside what was tried."""
    lines = ["| vLLM | " + " | ".join(TRIED.values()) + " |", "|---" * (len(TRIED) + 1) + "|"]
    for version, counts in found.items():
        cells = ["{} of {}".format(*counts[file]) if file in counts else "" for file in TRIED]
        lines.append(f"| {version} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
