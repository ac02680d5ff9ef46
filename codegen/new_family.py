"""`python -m codegen.new_family NAME` begins a built-in family: its folder, modules and test.

Everything that it writes passes the generator and the type checks. Its tests fail until the
arithmetic is written, rows of the image processor are recorded, and no TODO is left.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).resolve().parent / "templates"

#: Templates by the file that they become.
FILES = {
    "spec/families/FAMILY_NAME/family.json": "family.json",
    "spec/families/FAMILY_NAME/payload.schema.json": "payload.schema.json",
    "spec/families/FAMILY_NAME/layout.schema.json": "layout.schema.json",
    "spec/families/FAMILY_NAME/layout.md": "layout.md",
    "mmraw_protocol/families/FAMILY_NAME.py": "module.py.txt",
    "typescript/src/families/FAMILY_NAME.ts": "module.ts.txt",
    "tests/test_family_FAMILY_NAME.py": "test.py.txt",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
#: It becomes the name of modules and, with `Payload` and `Layout`, of types.
_MOST = 64


def refusal_of(name: str, root: Path = ROOT) -> str | None:
    """Why no family can begin under this name; None where one can."""
    if not _NAME.fullmatch(name) or len(name) > _MOST or keyword.iskeyword(name):
        return f"NAME is a word in lower case such as tile_vl, of at most {_MOST} characters"
    taken = [path for path in _filled(FILES, name) if (root / path).exists()]
    return f"the name is taken: {taken[0]} is there" if taken else None


def write(name: str, root: Path = ROOT) -> list[str]:
    """Writes the files of the family `name`; their paths below `root`."""
    paths = _filled(FILES, name)
    for path, template in paths.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        target.write_text(_fill(text, name), encoding="utf-8")
    return list(paths)


def _filled(files: dict[str, str], name: str) -> dict[str, str]:
    return {_fill(path, name): template for path, template in files.items()}


def _fill(text: str, name: str) -> str:
    of_types = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("FAMILY_NAME", name).replace("FamilyName", of_types)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Writes the files and says what is next; 2 for a name that cannot be."""
    name = arguments[0] if len(arguments) == 1 else ""
    refusal = refusal_of(name, root)
    if refusal is not None:
        print(f"new-family: {refusal}", file=sys.stderr)
        return 2
    for path in write(name, root):
        print(f"new-family: {path}")
    print(f"new-family: fill in each TODO until tests/test_family_{name}.py passes;")
    print("new-family: `make generate` after each change below spec/; see docs/new-family.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
