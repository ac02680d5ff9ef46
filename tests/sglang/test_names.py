"""The names that the plugin relies on, in the SGLang that is installed and in the written table."""

# pyright: reportMissingImports=false

import ast
import importlib.metadata
import sys
from pathlib import Path

import pytest

from mmraw_protocol.integrations.sglang import plugin

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "environments"))
sglang_names = pytest.importorskip("sglang_names")


def test_every_hooked_name_is_in_the_table() -> None:
    named = {f"sglang.srt.{m}.{n}" for m, names in sglang_names.NAMES.items() for n in names}
    assert named >= {*plugin.TARGETS}


def test_the_table_says_what_is_installed() -> None:
    page = (ROOT / "docs" / "sglang-names.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    version = importlib.metadata.version("sglang")
    package = Path(str(importlib.metadata.distribution("sglang").locate_file("sglang/srt")))
    for module, names in sglang_names.NAMES.items():
        path = package / f"{module.replace('.', '/')}.py"
        path = path if path.exists() else path.with_suffix("") / "__init__.py"
        tree = ast.parse(path.read_bytes())
        for name in names:
            found = sglang_names.found_in(tree, name)
            row = rows[f"{module}.{name}"]
            assert row.endswith(f"`{found}` | the same |") or f"{version}: `{found}`" in row
