"""The example in README.md runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol.demo import example_pictures
from mmraw_protocol.wire._generated.families import FAMILIES

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture = example_pictures()[0]
    names: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"type": "image", "image": str(picture)}]}]
    }
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(block, names)
    assert names["pixels"].size == (600, 400)
    assert (tmp_path / "outputs/run_exp42/assets/images").is_dir()


def test_the_two_commands_are_targets() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_listed_with_its_lines(family: str) -> None:
    info = FAMILIES[family]
    (row,) = (line for line in README.splitlines() if f"`{family}` |" in line)
    assert row.startswith(f"| [{info.title}](docs/reference/families/{family}.md)")
    assert row.endswith(f"| {', '.join(info.lines)} |")
    why = (Path(__file__).parent.parent / "docs" / "index.md").read_text()
    assert info.title in why
