"""The example in README.md runs as it stands."""

import re
import shutil
from pathlib import Path

import pytest

from mmraw_protocol.cli import main
from mmraw_protocol.wire._generated.families import FAMILIES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_example_runs_as_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples" / "images", tmp_path / "examples" / "images")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(block, {})
    assert capsys.readouterr().out == "(600, 400)\n"
    assert (tmp_path / "mmraw-demo/run_exp42/assets/images").is_dir()


def test_the_row_of_the_demo_is_what_the_demo_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    (row,) = re.findall(r"^    (coffee.jpg .*)$", README, re.M)
    # A ref names its run's folder by its whole path: its length is this folder's.
    shown = capsys.readouterr().out.splitlines()[0]
    assert re.sub(r"\d+ B ref", "", shown) == re.sub(r"\d+ B ref", "", row)


def test_the_versions_of_vllm_are_those_of_the_table_of_trials() -> None:
    (row,) = re.findall(r"^\| vLLM \| ([0-9., ]+) \|", README, re.M)
    page = (ROOT / "docs" / "versions.md").read_text()
    assert row.split(", ") == re.findall(r"^\| (0\.\d+) \|", page, re.M)


def test_the_two_commands_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_listed_with_its_lines(family: str) -> None:
    info = FAMILIES[family]
    (row,) = (line for line in README.splitlines() if f"`{family}` |" in line)
    assert row.startswith(f"| [{info.title}](docs/reference/families/{family}.md)")
    assert row.endswith(f"| {', '.join(info.lines)} |")
    why = (ROOT / "docs" / "index.md").read_text()
    assert info.title in why
