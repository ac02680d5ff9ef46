"""Finds changes of the public interface since a release that break callers, by griffe.

`python tests/release/interface.py v1.0.0`, in the environment of the docs; 1 where something does.
Public is what docs/reference/python.md of that release lists.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "mmraw_protocol"
PAGE = "docs/reference/python.md"

_ENTRY = re.compile(r"^::: ([\w.]+)\n((?: .*\n)*)", re.MULTILINE)
_MEMBERS = re.compile(r"members: \[(.+)\]")


def public(package: Any, page: str) -> set[str]:
    """Returns where each name of the page is defined; a module without members is public whole."""
    names = list(package.exports)
    for module, options in _ENTRY.findall(page):
        name = module.removeprefix(f"{PACKAGE}.")
        listed = _MEMBERS.search(options)
        if name == PACKAGE:
            continue
        members = listed[1].split(", ") if listed else package[name].exports or []
        names += [f"{name}.{member}" for member in members]
    return {package[name].canonical_path for name in names}


def main() -> int:
    """One line for each change."""
    release = sys.argv[1]
    show = ["git", "-C", ROOT, "show", f"{release}:{PAGE}"]
    page = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    old = griffe.load_git(PACKAGE, ref=release, repo=ROOT, resolve_aliases=True)
    new = griffe.load(PACKAGE, search_paths=[ROOT], resolve_aliases=True)
    names = public(old, page)
    found = [
        change
        for change in griffe.find_breaking_changes(old, new)
        if any(f"{change.obj.canonical_path}.".startswith(f"{name}.") for name in names)
    ]
    for change in found:
        print(change.explain(griffe.ExplanationStyle.ONE_LINE))
    print(f"{len(names)} public names, {len(found)} changes break callers")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
