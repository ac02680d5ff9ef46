"""A family or a dialect is data of spec/: nothing else in the package names one.

What stands here as an exception has its reason beside it; one that is not needed is taken off.
"""

import ast
import re
from pathlib import Path

import pytest

from mmraw_protocol.wire._generated.dialects import DIALECTS, ITEMS
from mmraw_protocol.wire._generated.families import FAMILIES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mmraw_protocol"
#: Families, their lines, titles and grids, with any sign between words.
NAMES = sorted(
    {
        re.sub("[-_ .]+", "[-_ .]?", name)
        for f, info in FAMILIES.items()
        for name in (f, info.title, *info.lines, info.grid_key)
    }
)
#: The first word of each title, as a word: a family may have the name of a method of strings.
WORDS = sorted({re.split("[^A-Za-z]", info.title)[0] for info in FAMILIES.values()})

#: Places outside of its module where a family is named, and why.
FAMILY_NAMES = {
    "__init__.py": "public names of the package",
    "cli/generate.py": "an example of a command, with a model's name",
    "demo/refusals.py": "the attack on a ref of the family that the demo sends",
    "families/base.py": "the grid's usual name, for families of third parties",
    "integrations/layout_processor.py": "says whose processors it stands in for",
    "integrations/rendered.py": "says what a released renderer writes",
    "integrations/renderers.py": "says what a released renderer writes",
}
#: Places where a dialect's name is written, and why.
DIALECT_NAMES = {
    "legacy/mm_store.py": "the old module, which knew these dialects and no other",
}
#: Names that also mean something else: a version of the API, a key of a mapping.
COMMON = {"v1"}


def files() -> list[Path]:
    """Hand-written files of the package, those of one family left out."""
    own = {f"{name}.py" for name in FAMILIES}
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if "_generated" not in path.parts
        and not (path.parent.name == "families" and path.name in own)
    ]


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def strings_of(path: Path) -> set[str]:
    """Every string constant of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_there_are_words_to_look_for() -> None:
    assert {"Qwen", "Kimi"} <= {*WORDS}
    assert all(len(word) > 2 for word in [*WORDS, *NAMES])


def test_a_family_is_named_in_its_own_module_alone() -> None:
    pattern = re.compile(rf"(?i:{'|'.join(NAMES)})|\b(?:{'|'.join(WORDS)})(?![a-z])")
    found = {name_of(p) for p in files() if pattern.search(p.read_text(encoding="utf-8"))}
    assert found == set(FAMILY_NAMES)


def test_a_dialect_is_named_in_the_tables_alone() -> None:
    names = ({*DIALECTS} | {*ITEMS}) - COMMON
    assert {"v2", "v3"} <= names
    found = {name_of(path) for path in files() if strings_of(path) & names}
    assert found == set(DIALECT_NAMES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_a_folder_and_a_module_in_each_language(name: str) -> None:
    folder = {path.name for path in (ROOT / "spec" / "families" / name).iterdir()}
    assert folder == {"family.json", "layout.md", "layout.schema.json", "payload.schema.json"}
    assert (PACKAGE / "families" / f"{name}.py").is_file()
    assert (ROOT / "typescript" / "src" / "families" / f"{name}.ts").is_file()
