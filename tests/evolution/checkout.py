"""A copy of the repository in which a change of the wire is made, and its two implementations."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from jsonschema import Draft202012Validator

ROOT = Path(__file__).parent.parent.parent
SERVERS = (
    (sys.executable, "-m", "mmraw_protocol.cli", "conformance", "serve"),
    ("node", "typescript/dist/conformance.js"),
)


class Refusal(NamedTuple):
    """The error with which both implementations reject an input."""

    code: str
    path: str


class Checkout:
    """A copy of what git knows of the repository; `edit` and `write` change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers: list[subprocess.Popen[str]] = []
        names = self._run("git", "ls-files", "-z", cwd=ROOT).split("\0")
        self._originals = {name for name in names if name and (ROOT / name).is_file()}
        for name in self._originals:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        modules = "typescript/node_modules"
        (folder / modules).symlink_to(ROOT / modules)

    def edit(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes a JSON document in place."""
        document = json.loads((self.folder / name).read_text("utf-8"))
        change(document)
        self.write(name, json.dumps(document, indent=2) + "\n")

    def replace(self, name: str, old: str, new: str) -> None:
        """Changes the one place in a file that is `old`."""
        text = (self.folder / name).read_text("utf-8")
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def make(self) -> None:
        """Generates the code, builds the TypeScript package, and the inspector of the site."""
        code, message = self.codegen()
        assert code == 0, message
        self.compile()
        (self.folder / "build").mkdir()
        code = "import build; build.inspector(build.ROOT / 'build/page')"
        self._run(sys.executable, "-c", code)

    def compile(self, *options: str) -> None:
        """Builds the TypeScript package."""
        self._run("typescript/node_modules/.bin/tsc", "-p", "typescript/tsconfig.json", *options)

    def edited(self) -> set[str]:
        """The files that differ from the repository's and are not generated."""
        listed = "import codegen.__main__ as c; print(*[p.as_posix() for p in c.generated()])"
        generated = set(self._run(sys.executable, "-c", listed).split())
        built = {"build", "dist", "node_modules", "__pycache__"}
        found = {
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and not built & set(path.relative_to(self.folder).parts)
        }
        assert self._originals <= found
        return {name for name in found - generated if not self._is_original(name)}

    def _is_original(self, name: str) -> bool:
        original = ROOT / name
        is_there = name in self._originals
        return is_there and original.read_bytes() == (self.folder / name).read_bytes()

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    @property
    def inspector(self) -> str:
        """The script of the inspector's page."""
        return self.read("build/page/inspector.js")

    def codegen(self, *arguments: str) -> tuple[int, str]:
        """The exit code of the generator, and what it says."""
        code, _, message = self.module("codegen", *arguments)
        return code, message

    def module(self, *command: str) -> tuple[int, str, str]:
        """The exit code of a Python module of the copy, its output and its errors."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    def mmraw(self, *arguments: str) -> str:
        """Returns what a command of the copy prints."""
        return self._run(sys.executable, "-m", "mmraw_protocol.cli", *arguments)

    def allows(self, bundle: str, document: Any) -> bool:
        """True if a bundled schema allows a document."""
        schema = json.loads(self.mmraw("schema", "--bundle", bundle))
        return Draft202012Validator(schema).is_valid(document)

    def python(self, code: str) -> Any:
        """Runs `code` in the copy and returns its `result`."""
        shown = "import json\nprint(json.dumps(result))"
        return json.loads(self._run(sys.executable, "-c", f"{code}\n{shown}"))

    def find(self, strategy: str, condition: str) -> Any:
        """A `value` that a strategy of the package generates and that meets a condition."""
        return self.python(
            "from random import Random\n"
            "from hypothesis import Phase, find, settings\n"
            "from mmraw_protocol import MMRawError, parse_item, parse_ref, testing\n"
            "options = settings(phases=[Phase.generate], max_examples=3000, database=None)\n"
            f"def meets(value): return {condition}\n"
            f"result = find(testing.{strategy}, meets, settings=options, random=Random(0))"
        )

    def typescript(self, code: str) -> Any:
        """Runs `code`, which sees the package as `mmraw`, and returns its `result`."""
        source = (
            "import * as mmraw from './typescript/dist/index.js';\n"
            "import * as inspector from './typescript/dist/inspect.js';\n"
            f"{code}\nconsole.log(JSON.stringify(result));\n"
        )
        return json.loads(self._run("node", "--input-type=module", "-e", source))

    def ask(self, operation: str, **given: Any) -> Any:
        """Returns the one answer of both implementations to an operation."""
        if not self._servers:
            self._servers = [self._start(command) for command in SERVERS]
        request = json.dumps({"cmd": "run", "seq": 1, "op": operation, "input": given})
        first, second = [_answer(server, request) for server in self._servers]
        assert first == second
        return first

    def close(self) -> None:
        """Ends the implementations."""
        for server in self._servers:
            server.terminate()
            server.wait()
            cast("IO[str]", server.stdout).close()
            # It may have ended before, in a test that fails.
            with contextlib.suppress(BrokenPipeError):
                cast("IO[str]", server.stdin).close()

    @property
    def _environment(self) -> dict[str, str]:
        places = (self.folder, self.folder / "docs")
        return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)), "COLUMNS": "200"}

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self._environment, stdin=pipe, stdout=pipe, text=True
        )


def _answer(server: subprocess.Popen[str], request: str) -> Any:
    stdin, stdout = cast("IO[str]", server.stdin), cast("IO[str]", server.stdout)
    stdin.write(request + "\n")
    stdin.flush()
    line = stdout.readline()
    assert line, "the implementation ended"
    reply = json.loads(line)
    if reply["ok"]:
        return reply["result"]
    return Refusal(reply["error"]["code"], reply["error"]["path"])


def json_ref(fields: dict[str, Any], prefix: str = "mmraw:v3:") -> str:
    """The canonical text of a ref in a dialect whose text is base64url of JSON."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return prefix + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


#: A ref of a stored image, by the wire names of dialect v3.
REF: dict[str, Any] = {
    "family": "qwen_vl",
    "fingerprint": "c2f096345b0d84e6bd2ee38b815cc329",
    "mm_hash": "67f463a70fcc80e6b6c13d2563a723f2",
    "modality": "image",
    "payload": {"image_grid_thw": [[1, 16, 16]]},
    "raw_image_id": "67f463a70fcc80e6.png",
    "run_id": "exp42",
}
#: An envelope of the same image.
ITEM: dict[str, Any] = {
    "_prime_rl_image_ref": "raw_image",
    "family": "qwen_vl",
    "kind": "prime_raw_mm_item",
    "layout_fingerprint": "c2f096345b0d84e6bd2ee38b815cc329",
    "modality": "image",
    "payload": {"image_grid_thw": [[1, 16, 16]]},
    "raw_image_id": "67f463a70fcc80e6.png",
    "version": 1,
}
