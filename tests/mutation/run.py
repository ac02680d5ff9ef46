"""Takes each guard out, one at a time, and runs the tests that must fail.

    python tests/mutation/run.py            # all guards
    python tests/mutation/run.py rename     # those whose name contains the word

A guard whose absence no test notices, or whose text is no longer found, is a failure.
"""

import os
import py_compile
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import features_guards
import file_guards
import generated_guards
import image_guards
import json_guards
import limit_guards
import message_guards
import plugin_guards
import process_guards
import prompt_guards
import server_guards
import store_guards
import url_guards
import wire_guards
from guard import Guard

ROOT = Path(__file__).parent.parent.parent
WORKERS = os.cpu_count() or 1
#: That a test fails is enough: no plugins beside Hypothesis, and asserts as they are.
OPTIONS = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:anyio", "--assert=plain"]
GUARDS = [
    *json_guards.GUARDS,
    *limit_guards.GUARDS,
    *message_guards.GUARDS,
    *wire_guards.GUARDS,
    *features_guards.GUARDS,
    *file_guards.GUARDS,
    *generated_guards.guards(ROOT),
    *store_guards.GUARDS,
    *image_guards.GUARDS,
    *process_guards.GUARDS,
    *prompt_guards.GUARDS,
    *plugin_guards.GUARDS,
    *server_guards.GUARDS,
    *url_guards.GUARDS,
]


def main() -> int:
    """Runs every guard whose name contains the argument; 1 where one is not noticed."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    guards = [guard for guard in GUARDS if word in guard.name]
    survivors: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            copies.put(copy_to(Path(folder) / f"copy{number}"))

        def verdict(guard: Guard) -> str:
            copy = copies.get()
            try:
                return check(guard, copy)
            finally:
                copies.put(copy)

        for guard, found in zip(guards, pool.map(verdict, guards), strict=True):
            print(f"{guard.name:60} {found}", flush=True)
            if found != "noticed":
                survivors.append(guard.name)
    print(f"{len(guards) - len(survivors)} passed, {len(survivors)} failed")
    return 1 if survivors or not guards else 0


def copy_to(folder: Path, python: str = sys.executable) -> Path:
    """A copy of the package and its tests, compiled for a Python.

    Bytecode by the hash of its source serves all tests: of a changed file it is passed over.
    """
    for part in ("mmraw_protocol", "spec", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    compiled = [python, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    subprocess.run([*compiled, "mmraw_protocol", "tests"], cwd=folder, check=True)
    return folder


def check(guard: Guard, copy: Path) -> str:
    """Takes the guard out of the copy, runs its tests, and puts it back."""
    path = copy / guard.file
    text = path.read_text(encoding="utf-8")
    if text.count(guard.old) != guard.times:
        return f"FOUND {text.count(guard.old)} TIMES INSTEAD OF {guard.times}"
    path.write_text(text.replace(guard.old, guard.new), encoding="utf-8")
    try:
        return verdict_of(guard, copy)
    finally:
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".py":
            # A process without -B, started by a test, may have written bytecode of the change.
            mode = py_compile.PycInvalidationMode.CHECKED_HASH
            py_compile.compile(str(path), doraise=True, invalidation_mode=mode)


def verdict_of(guard: Guard, copy: Path) -> str:
    """Runs the tests; a run that hangs counts as failed, one without tests does not."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", *OPTIONS]
    environment = {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/usr/bin:/bin",
        "HYPOTHESIS_PROFILE": "default-unshrunk",
        # The same examples in every run, so that no guard is noticed by luck.
        "CI": "1",
    }
    try:
        done = subprocess.run(
            [*command, *shlex.split(guard.tests)],
            cwd=copy,
            env=environment,
            capture_output=True,
            timeout=guard.seconds,
        )
    except subprocess.TimeoutExpired:
        return "noticed"
    if done.returncode > 1:
        return f"NO TEST RAN: {done.stdout.decode()[-200:]}"
    return "noticed" if done.returncode else "SURVIVED"


if __name__ == "__main__":
    sys.exit(main())
