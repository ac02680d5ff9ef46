"""The structure of the package: imports point one way, and files are short enough to read at once.

Every import counts: at the top, within functions, and those for the type checker alone.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mmraw_protocol"

#: A subpackage imports from itself and from those before it.
SUBPACKAGES = (
    "system", "wire", "images", "families", "stores", "conversation", "materialize", "files",
    "integrations", "legacy", "specdiff", "testing", "conformance", "demo", "cli",
)  # fmt: skip
#: Names of the package itself, which every subpackage may use.
SHARED = {"mmraw_protocol._version"}


def _modules(subpackage: str, *names: str) -> frozenset[str]:
    """Modules of a subpackage."""
    return frozenset(f"mmraw_protocol.{subpackage}.{name}" for name in names)


NOTEBOOK = "mmraw_protocol.materialize.notebook"
#: Imports that point the other way, and why.
BACKWARD = {
    ("mmraw_protocol.cli.doctor", "mmraw_protocol"): "the version, which `_version` has too",
    ("mmraw_protocol.conformance.operations", "mmraw_protocol"): "answers by the public functions",
    ("mmraw_protocol.wire.ref_model", NOTEBOOK): "`_repr_html_`, which a notebook alone calls",
    ("mmraw_protocol.wire.features_model", NOTEBOOK): "`_repr_html_`, as of a ref",
}
#: Circles of modules within a subpackage, and why.
CIRCLES = {
    _modules("wire", "_generated.checks", "data_url"): "a label ends in a name, which has a check",
    _modules("wire", "ref_read", "ref_stream"): "long refs are read in pieces, by a late import",
}
#: Modules of the wire that need more than msgspec.
NEED_MORE = {
    # Strategies of what spec/ defines: only `testing` imports it.
    "mmraw_protocol.wire._generated.strategies": {"hypothesis"},
}
#: Lines of the longest file that one may write.
LONGEST = 400


def name_of(path: Path) -> str:
    """A file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package."""
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def subpackage_of(module: str) -> str | None:
    """The subpackage of a module; None for what stands outside of all."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in SUBPACKAGES else None


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of the package that a module imports, anywhere in its text."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(found for node in ast.walk(tree) for found in _targets(node, package))


def _targets(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _known(alias.name)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:
            # `from .subpackage import module` imports the module; other names are its own.
            yield from _known(f"{base}.{alias.name}") or _known(base)


def _known(name: str) -> list[str]:
    return [name] if name in modules() else []


def edges() -> list[tuple[str, str]]:
    """Every import of one module of the package by another."""
    return [(module, found) for module in modules() for found in sorted(imports_of(module))]


def backward(importer: str, imported: str) -> bool:
    """True if an import points to a later subpackage, or to the package itself."""
    subpackage, other = subpackage_of(importer), subpackage_of(imported)
    if subpackage is None or imported in SHARED:
        return False
    return other is None or SUBPACKAGES.index(other) > SUBPACKAGES.index(subpackage)


def test_every_module_is_in_a_subpackage() -> None:
    outside = {name for name in modules() if subpackage_of(name) is None}
    assert outside == {"mmraw_protocol", *SHARED}


def test_imports_point_to_earlier_subpackages() -> None:
    """An exception that is not needed any more is taken off the list."""
    found = {edge for edge in edges() if backward(*edge)}
    assert found == set(BACKWARD)


def circles() -> set[frozenset[str]]:
    """Modules of one subpackage that import one another in a circle."""
    near = {module: _within_subpackage(module) for module in modules()}
    far: dict[str, set[str]] = {}
    for module in near:
        far[module], waiting = set(), [*near[module]]
        while waiting:
            other = waiting.pop()
            if other not in far[module]:
                far[module].add(other)
                waiting += near[other]
    return {
        frozenset({module} | {other for other in far[module] if module in far[other]})
        for module in near
        if module in far[module]
    }


def _within_subpackage(module: str) -> set[str]:
    return {
        found
        for found in imports_of(module)
        if subpackage_of(found) == subpackage_of(module) is not None and found != module
    }


def test_no_modules_of_a_subpackage_import_one_another() -> None:
    assert circles() == set(CIRCLES)


def test_verifying_needs_no_materializer() -> None:
    assert not loaded("import mmraw_protocol.stores.verify", "mmraw_protocol.materialize")


@pytest.mark.parametrize("module", [name for name in modules() if subpackage_of(name) == "wire"])
def test_the_wire_imports_msgspec_alone(module: str) -> None:
    """Beside the standard library; pybase64 is used where it is there."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    named = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    named |= {
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    }
    others = {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names)
    assert others <= {"msgspec", "pybase64"} | NEED_MORE.get(module, set())


def test_the_wire_runs_with_msgspec_alone() -> None:
    names = [name for name in modules() if subpackage_of(name) == "wire" and name not in NEED_MORE]
    installed = loaded(f"import {', '.join(names)}", "")
    # msgspec takes typing_extensions where it is there.
    assert installed <= {"msgspec", "pybase64", "typing_extensions", "mmraw_protocol"}


def loaded(statement: str, prefix: str) -> set[str]:
    """Lists what a fresh interpreter loads for a statement: modules below `prefix`, or packages."""
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "new = set(sys.modules) - before\n"
        "print(*new)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    new = set(done.stdout.split())
    if prefix:
        return {name for name in new if name == prefix or name.startswith(f"{prefix}.")}
    return {name.partition(".")[0] for name in new} - set(sys.stdlib_module_names)


def hand_written() -> Iterator[Path]:
    """Python files of the project that people write."""
    for folder in ("mmraw_protocol", "codegen", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not {"_generated", "node_modules"} & set(path.parts):
                yield path


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in hand_written()
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
