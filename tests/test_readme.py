"""Tables of README.md and sizes of pages; tests/newcomer tries the commands and the example."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_versions_of_vllm_are_those_of_the_table_of_trials() -> None:
    (row,) = re.findall(r"^\| vLLM \| ([0-9., ]+) \|", README, re.M)
    assert row.split(", ") == re.findall(r"^\| (0\.\d+) \|", page("versions.md"), re.M)


def test_the_versions_of_sglang_are_those_whose_names_are_compared() -> None:
    (row,) = re.findall(r"^\| SGLang \| ([0-9.]+ to [0-9.]+) \|", README, re.M)
    (listed,) = re.findall(r"in the wheels of (.+)\.$", page("sglang-names.md"), re.M)
    versions = listed.split(", ")
    assert row == f"{versions[0]} to {versions[-1]}"


def test_the_other_versions_are_those_that_the_suites_install() -> None:
    (row,) = re.findall(r"^\| renderers, verifiers \| ([0-9.]+), ([0-9.]+), ", README, re.M)
    assert row == (locked("released", "renderers"), locked("released", "verifiers"))
    ((oldest, tried),) = re.findall(r"^\| Transformers \| ([0-9.]+) .* ([0-9.]+) \|", README, re.M)
    assert f'"transformers>={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert locked("integrations", "transformers").startswith(f"{tried}.")


def test_the_versions_of_python_are_those_of_the_package() -> None:
    (row,) = re.findall(r"^\| Python \| ([0-9.]+) to ([0-9.]+) \|", README, re.M)
    project = (ROOT / "pyproject.toml").read_text()
    versions = re.findall(r"Python :: (3\.[0-9]+)", project)
    assert row == (versions[0], versions[-1])
    assert f'requires-python = ">={row[0]}"' in project


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def locked(environment: str, package: str) -> str:
    """The version of a package in an environment of the tests."""
    text = (ROOT / "tests" / "environments" / f"{environment}.lock").read_text()
    (version,) = re.findall(rf"^{package}==(\S+)", text, re.M)
    return version


def test_no_page_is_too_long_to_be_read() -> None:
    """Generated pages and the changelog, which is a list, may be longer."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().splitlines()
    lines = {name: (ROOT / name).read_text("utf-8").count("\n") for name in names}
    most = {"README.md": 120, "spec/README.md": 500}
    long = {name: count for name, count in lines.items() if count > most.get(name, 250)}
    assert len(lines) > 50
    assert not [name for name in long if not name.startswith(("CHANGELOG.md", "docs/reference/"))]
