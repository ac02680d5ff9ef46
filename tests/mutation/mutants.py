"""Changes that cosmic-ray makes to wire/, families/ and conversation/: a test must notice each.

    python tests/mutation/mutants.py            # the sample
    python tests/mutation/mutants.py --whole    # all that are drawn, going on where it stopped
    python tests/mutation/mutants.py NAME …     # these alone

mutants.json has the operators, how many mutants are drawn and how many of them are the sample, the
tests of each folder and of some modules, and the survivors that are expected, each with its reason.
Mutants are drawn by the hash of their names, so that a change of one function draws no others
elsewhere. It runs in the environment `mutation` of tests/environments, and its tests in .venv.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec, TestOutcome
from run import ROOT, WORKERS, copy_to

PLAN: dict[str, Any] = json.loads((Path(__file__).parent / "mutants.json").read_text("utf-8"))
#: Verdicts of the whole, one a line, so that a run that was stopped goes on.
NOTES = ROOT / "build" / "mutants.jsonl"
LEAST_NOTICED = 0.9
#: Runs the tests; the environment of cosmic-ray has none of their packages.
PYTHON = ROOT / ".venv" / "bin" / "python"
#: Elsewhere `*` and `/` are no operators: they mark parameters, and a change is no Python.
ARITHMETIC = ("and_expr", "arith_expr", "term")


def tests_of(name: str) -> list[str]:
    """The tests that must notice a mutant, those of its module before those of its folder."""
    module, folder = name.split(":")[0], name.split("/")[0]
    return f"{PLAN['modules'].get(module, '')} {PLAN['tests'][folder]}".split()


def command(tests: Iterable[str], workers: int = 0) -> str:
    """The command that runs tests until one fails."""
    files = " ".join(f"tests/test_{test}.py" for test in dict.fromkeys(tests))
    options = f"-q -x -n {workers} -p no:cacheprovider --assert=plain"
    return f"{PYTHON} -B -m pytest {options} --hypothesis-profile quick-unshrunk {files}"


def mutants() -> Iterator[tuple[str, MutationSpec]]:
    """Every mutant by its name: file, function, operator, and which of several in the function."""
    for folder in PLAN["tests"]:
        for path in sorted((ROOT / "mmraw_protocol" / folder).glob("*.py")):
            tree = get_ast_from_path(path)
            for name in PLAN["operators"]:
                yield from _of_operator(path.relative_to(ROOT), tree, name)


def _of_operator(path: Path, tree: Any, name: str) -> Iterator[tuple[str, MutationSpec]]:
    operator = get_operator(f"core/{name}")()
    found = [(node, *at) for node in ast_nodes(tree) for at in operator.mutation_positions(node)]
    is_binary = "BinaryOperator" in name
    seen = Counter[str]()
    for occurrence, (node, start, end) in enumerate(found):
        if is_binary and node.parent.type not in ARITHMETIC:
            continue
        place = f"{path.relative_to('mmraw_protocol')}:{ASTQuery(node).get_definition_name()}"
        seen[place] += 1
        spec = MutationSpec(path, f"core/{name}", occurrence, start, end)
        yield f"{place}:{name}:{seen[place]}", spec


def drawn(count: int) -> dict[str, MutationSpec]:
    """The first `count` by the hash of their names."""
    everything = dict(mutants())
    names = sorted(everything, key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: everything[name] for name in names[:count]}


def enter(copy: str) -> None:
    """Makes this process test the copy."""
    os.chdir(copy)
    os.environ |= {"PYTHONPATH": copy, "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}


def begin(copies: Any) -> None:
    """Gives a worker a copy of the repository of its own."""
    enter(copies.get())
    logging.disable()


def verdict(mutant: tuple[str, MutationSpec]) -> tuple[str, str]:
    """The name and what came of it: noticed, SURVIVED, or why nobody knows."""
    name, spec = mutant
    result = mutate_and_test([spec], command(tests_of(name)), PLAN["timeout_seconds"])
    if result.test_outcome == TestOutcome.KILLED:
        return name, "noticed"
    return name, "SURVIVED" if result.test_outcome == TestOutcome.SURVIVED else "NO VERDICT"


def verdicts(chosen: dict[str, MutationSpec], folder: Path) -> Iterator[tuple[str, str]]:
    """Tries each in one of the copies; first the tests must pass without a mutant."""
    copies: Any = multiprocessing.Queue()
    for number in range(WORKERS):
        copy = str(copy_to(folder / f"copy{number}", str(PYTHON)))
        copies.put(copy)
    enter(copy)
    every = [test for name in chosen for test in tests_of(name)]
    subprocess.run(command(every, WORKERS).split(), check=True)
    with multiprocessing.Pool(WORKERS, begin, (copies,)) as pool:
        yield from pool.imap_unordered(verdict, chosen.items())


def main() -> int:
    """1 where a mutant survives that is not expected to, or too many do."""
    names = sys.argv[1:]
    whole = names == ["--whole"]
    chosen = drawn(PLAN["whole" if whole else "sample"])
    if names and not whole:
        everything = dict(mutants())
        chosen = {name: everything[name] for name in names}
    lines = NOTES.read_text().splitlines() if whole and NOTES.exists() else []
    found = {name: said for name, said in map(json.loads, lines) if name in chosen}
    NOTES.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, NOTES.open("a") as notes:
        left = {name: spec for name, spec in chosen.items() if name not in found}
        for name, said in verdicts(left, Path(folder)):
            print(f"{name:90} {said}", flush=True)
            found[name] = said
            if whole:
                notes.write(json.dumps([name, said]) + "\n")
                notes.flush()
    missed = {name for name, said in found.items() if said != "noticed"}
    unexpected = missed - set(PLAN["survivors"])
    stale = {name for name in PLAN["survivors"] if found.get(name) == "noticed"}
    for name in sorted(unexpected | stale):
        print(f"{name}: {'noticed, but listed' if name in stale else 'not listed with a reason'}")
    share = 1 - len(missed) / len(found)
    print(f"{share:.1%} of {len(found)} noticed; {len(unexpected)} survivors without a reason")
    print(f"{len(found) - len(unexpected)} passed, {len(unexpected)} failed")
    return 1 if unexpected or stale or (whole and share < LEAST_NOTICED) else 0


if __name__ == "__main__":
    sys.exit(main())
