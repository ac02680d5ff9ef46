"""`make new-family` writes what passes every check, and tests that fail until it is filled in."""

import re
import sys
from collections.abc import Iterator

import pytest
from checkout import ROOT, Checkout

FILES = {
    "spec/families/toy_vl/family.json",
    "spec/families/toy_vl/layout.md",
    "spec/families/toy_vl/layout.schema.json",
    "spec/families/toy_vl/payload.schema.json",
    "mmraw_protocol/families/toy_vl.py",
    "typescript/src/families/toy_vl.ts",
    "tests/test_family_toy_vl.py",
}
PYTHON = "    return -(-height // patch_size), -(-width // patch_size)\n"
TYPESCRIPT = """\
function gridOf(width: number, height: number, side: number): readonly [number, number] {
  return [Math.ceil(height / side), Math.ceil(width / side)];
}
"""
ROWS = """\
ROWS: list[tuple[int, int, dict[str, Any], int]] = [
    (100, 33, {"image_grid_hw": [[3, 7]]}, 21),
    (16, 16, {"image_grid_hw": [[1, 1]]}, 1),
]
"""


def command() -> list[str]:
    """The module that `make new-family NAME=toy_vl` runs, and its arguments."""
    rule = re.search(
        r"^new-family:.*\n\t\$\(PY\) -m (.*)\n\t\$\(PY\) -m codegen\n",
        (ROOT / "Makefile").read_text("utf-8"),
        re.MULTILINE,
    )
    assert rule is not None
    return rule[1].replace("'$(NAME)'", "toy_vl").split()


def failures(checkout: Checkout) -> int:
    """Runs all of the family's tests and counts those that fail."""
    _, output, _ = checkout.module("pytest", "-q", "tests/test_family_toy_vl.py")
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (failed|passed)", output)}
    assert sum(counts.values()) == 9, output
    return counts.get("failed", 0)


def fill_in(checkout: Checkout) -> None:
    """Writes a simple arithmetic into both languages, and two rows of it."""
    module = checkout.read("mmraw_protocol/families/toy_vl.py")
    filled = re.sub(r" {4}raise NotImplementedError\(.*\)\n", PYTHON, module)
    checkout.write("mmraw_protocol/families/toy_vl.py", filled)
    module = checkout.read("typescript/src/families/toy_vl.ts")
    filled = re.sub(r"function gridOf.*?\n}\n", TYPESCRIPT, module, flags=re.DOTALL)
    checkout.write("typescript/src/families/toy_vl.ts", filled)
    test = checkout.read("tests/test_family_toy_vl.py")
    checkout.write("tests/test_family_toy_vl.py", re.sub(r"ROWS: .* = \[\]\n", ROWS, test))
    for name in FILES:
        checkout.write(name, checkout.read(name).replace("TODO", "Toy"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("new_family"))
    code, _, message = checkout.module(*command())
    assert code == 0, message
    checkout.make()
    yield checkout
    checkout.close()


def test_the_folder_and_a_module_in_each_language_and_its_test_are_written(
    checkout: Checkout,
) -> None:
    assert checkout.edited() == FILES


def test_generated_files_and_types_are_in_order(checkout: Checkout) -> None:
    assert checkout.codegen("--check") == (0, "")
    written = sorted(name for name in FILES if name.endswith(".py"))
    types = ("pyright", "--pythonpath", sys.executable)
    for tool in (types, ("ruff", "check"), ("ruff", "format", "--check")):
        code, output, _ = checkout.module(*tool, *written)
        assert code == 0, output


def test_its_tests_fail_until_it_is_filled_in(checkout: Checkout) -> None:
    assert failures(checkout) == 9
    fill_in(checkout)
    assert checkout.codegen()[0] == 0
    checkout.compile()
    assert failures(checkout) == 0
    assert checkout.ask("layout", family="toy_vl", width=100, height=33)["num_tokens"] == 21


@pytest.mark.parametrize(
    "name", ["qwen_vl", "registry", "Toy", "toy-vl", "2d", "class", "a__b", ""]
)
def test_a_name_that_is_taken_or_no_identifier_is_refused(checkout: Checkout, name: str) -> None:
    before = checkout.edited()
    code, _, message = checkout.module("codegen.new_family", name)
    assert code == 2
    assert message.startswith("new-family: ")
    assert checkout.edited() == before
