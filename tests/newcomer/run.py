"""Does what README.md, the tutorial, docs/adoption.md and docs/oncall.md say, as a newcomer would.

usage: python3 tests/newcomer/run.py

A fresh clone of the last commit, an empty home, and a PATH of python3, make and what every system
has. pip keeps this machine's settings and cache. A step fails where a page is untrue.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The programs of a container without a compiler, git or node.
SYSTEM = (
    "awk basename cat chmod cp cut dirname env find grep head ln ls mkdir mktemp mv printf rm "
    "sed sh sort tail touch tr uname"
)
OWN = "tests/newcomer"


class Machine:
    """A folder with a home and a PATH of its own, and the checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "mmraw-protocol"
        self.venv = folder / "venv"
        commands = folder / "bin"
        for place in (commands, folder / "home"):
            place.mkdir()
        (commands / "python3").symlink_to(Path(sys.executable).resolve())
        for name in ("make", *SYSTEM.split()):
            found = shutil.which(name)
            if found:
                (commands / name).symlink_to(found)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            **{name: value for name, value in os.environ.items() if name.endswith("_proxy")},
            "PATH": str(commands),
            "HOME": str(folder / "home"),
            "PIP_CACHE_DIR": pip("cache", "dir"),
        }
        settings = Path.home() / ".config" / "pip" / "pip.conf"
        if settings.exists():
            self.environment.setdefault("PIP_CONFIG_FILE", str(settings))
        subprocess.run(["git", "clone", "--quiet", ROOT, self.clone], check=True)

    def run(
        self, *command: str | Path, where: Path | None = None, code: int = 0, text: str = ""
    ) -> str:
        """Returns what a command prints; it must end with `code`."""
        path = f"{self.venv / 'bin'}{os.pathsep}{self.environment['PATH']}"
        done = subprocess.run(
            command,
            cwd=where or self.clone,
            env={**self.environment, "PATH": path},
            input=text,
            capture_output=True,
            text=True,
        )
        shown = done.stdout + done.stderr
        need(done.returncode == code, f"exit code {done.returncode}: {command}\n{shown}")
        return shown


def pip(*arguments: str) -> str:
    """Returns what this machine's own pip answers."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def need(holds: object, otherwise: str) -> None:
    """Fails with what is untrue."""
    if not holds:
        raise SystemExit(f"newcomer: {otherwise}")


def section(page: str, title: str) -> str:
    """The text below a heading of README.md."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[str]:
    """The commands of an indented block, without their comments."""
    return [re.sub(r"  +#.*", "", line).strip() for line in re.findall(r"^    (\S.*)$", text, re.M)]


def the_two_commands(machine: Machine, readme: str) -> None:
    """`make demo` as it stands; of `make test`, which is a suite of its own, what it would do."""
    *listed, row = commands(section(readme, "Try it"))
    need(listed == ["make demo", "make test"], f"README.md lists {listed}")
    shown = machine.run("make", "demo")
    need(f"\n{row}\n" in shown, f"make demo does not print {row!r} but\n{shown}")
    (report,) = re.findall(r"\S+report\.html", shown)
    need((machine.clone / report).exists(), f"no report {report}")
    need("-m pytest" in machine.run("make", "-n", "test"), "make test runs no tests")
    targets = machine.run("make")
    for target in set(re.findall(r"`make ([a-z-]+)`", readme)):
        need(f"  make {target} " in targets, f"`make` does not list {target}")


def the_example(machine: Machine, readme: str) -> None:
    """The ten lines, pasted into a file in the clone, with the Python of `make demo`."""
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    shown = machine.run(".venv/bin/python", "-", text=block)
    (want,) = re.findall(r"# (\(\d+, \d+\))$", block, re.M)
    need(shown == f"{want}\n", f"the example printed {shown}")


def the_installs(machine: Machine, readme: str) -> None:
    """Each `pip install` in one new environment, the core first."""
    machine.run("python3", "-m", "venv", machine.venv)
    core, with_command = commands(section(readme, "Install"))
    need(core == "pip install .", core)
    machine.run("sh", "-c", core)
    freeze = machine.run("pip", "list", "--format=freeze")
    found = {line.partition("==")[0] for line in freeze.split()} - {"pip", "setuptools"}
    need(found == {"mmraw-protocol", "msgspec"}, f"`pip install .` installed {found}")
    machine.run("sh", "-c", with_command)
    program = "from mmraw_protocol import get_adapter as g; g('qwen_vl').describe('coffee.jpg')"
    machine.run("python3", "-c", program, where=machine.clone / "examples/images")
    query = "from importlib.metadata import metadata as m; print(*m('mmraw-protocol').get_all(%r))"
    extras = machine.run("python3", "-c", query % "Provides-Extra").split()
    sentences = section(readme, "Install").partition("\n| works with")[0]
    for extra in extras:
        need(re.search(rf"[`\[]{extra}[`\]]", sentences), f"README.md does not name [{extra}]")


def the_command_line(machine: Machine, readme: str) -> None:
    """Each line of the block, with files of the names that stand there."""
    place = machine.folder / "command-line"
    place.mkdir()
    shutil.copy(machine.clone / "examples/images/coffee.jpg", place / "photo.jpg")
    image = '{"type": "image_url", "image_url": {"url": "photo.jpg"}}'
    (place / "messages.json").write_text(f'[{{"role": "user", "content": [{image}]}}]')
    pack = ("mmraw", "pack", "messages.json", "--json", "--run-id", "exp42")
    stored = machine.run(*pack, "--store", "images", where=place)
    (place / "rollouts.jsonl").write_text(f"{json_line(stored)}\n")
    v2 = machine.run(*pack, "--dialect", "v2", "--store", "images", where=place)
    (place / "old.jsonl").write_text(f"{json_line(v2)}\n")
    (ref,) = re.findall(r"mmraw:v3:[\w-]+", stored)
    for line in commands(section(readme, "The command line")):
        if line.startswith("mmraw generate"):  # needs a server: its options are read alone
            line = line.replace("messages.json", "--help")
        shown = machine.run("sh", "-c", re.sub(r"mmraw:v3:\S+", ref, line), where=place)
        if line.startswith("mmraw pack"):
            (place / "features.json").write_text(shown)
    need("mmraw:v3:" in (place / "new.jsonl").read_text(), "nothing was converted")
    need(len([*(place / "pictures").iterdir()]) == 1, "no picture was written")
    (place / "rollouts.jsonl").write_text(f"{json_line(stored).replace(ref, ref[:-9])}\n")
    machine.run("mmraw", "validate", "rollouts.jsonl", where=place, code=1)
    helped = machine.run("mmraw", "--help")
    for line in commands(section(readme, "The command line")):
        need(line.split()[1] in helped, f"mmraw --help does not list {line}")


def json_line(text: str) -> str:
    """A document that was printed for people, on one line."""
    return " ".join(text.split())


def page_of(name: str) -> Callable[[Machine, str], None]:
    """Runs a page's blocks in an empty folder, with the package and its command line installed."""

    def step(machine: Machine, readme: str) -> None:
        del readme
        place = machine.folder / name
        place.mkdir()
        page = machine.clone / "docs" / f"{name}.md"
        machine.run("python3", machine.clone / "tests/pages.py", page, where=place)

    return step


def the_call(machine: Machine, readme: str) -> None:
    """Every row of docs/oncall.md."""
    del readme
    place = machine.folder / "oncall"
    place.mkdir()
    program = machine.clone / OWN / "oncall.py"
    print(machine.run("python3", program, machine.clone / "docs/oncall.md", where=place), end="")


STEPS: dict[str, Callable[[Machine, str], None]] = {
    "README.md, Try it": the_two_commands,
    "README.md, ten lines": the_example,
    "README.md, Install": the_installs,
    "README.md, command line": the_command_line,
    "docs/tutorial.md": page_of("tutorial"),
    "docs/adoption.md": page_of("adoption"),
    "docs/oncall.md": the_call,
}


def main() -> int:
    """One line for each step."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder).resolve())
        readme = (machine.clone / "README.md").read_text("utf-8")
        for name, step in STEPS.items():
            start = time.monotonic()
            step(machine, readme)
            print(f"{name}: holds ({time.monotonic() - start:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
