"""A family in a package of its own: installed, found by its entry point, used like the others."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmraw_protocol.wire._generated.families import FAMILIES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "examples" / "toy_family"
PICTURE = ROOT / "examples" / "images" / "coffee.jpg"


@pytest.fixture(scope="module")
def mmraw(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The command line in an environment where the toy package is installed."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([*pip, *options, str(PACKAGE)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}

    def call(*args: str, code: int = 0) -> str:
        program = "import sys; from mmraw_protocol.cli import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *args]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == code, done.stderr
        return done.stdout

    return call


def test_the_entry_point_is_found(mmraw: Callable[..., str]) -> None:
    (row,) = json.loads(mmraw("layout", "640x480", "--family", "toy_tiles", "--json"))
    assert row["grid_thw"] == [1, 6, 9]
    assert row["num_tokens"] == 54
    names = {row["family"] for row in json.loads(mmraw("layout", "64x64", "--json"))}
    assert names == {*FAMILIES, "toy_tiles"}


def test_an_image_of_the_family_goes_over_the_wire_and_back(
    mmraw: Callable[..., str], tmp_path: Path
) -> None:
    part = {"type": "image", "image": str(PICTURE)}
    messages = tmp_path / "messages.json"
    messages.write_text(json.dumps([{"role": "user", "content": [part]}]))
    options = ["--family", "toy_tiles", "--storage", "inline", "--run-id", "exp42"]
    body = json.loads(mmraw("pack", str(messages), *options))
    features = tmp_path / "features.json"
    features.write_text(json.dumps(body))
    mmraw("materialize", str(features), "--out", str(tmp_path / "pictures"))
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_another_configuration_has_another_fingerprint_and_is_noticed(
    mmraw: Callable[..., str], tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"tile": 16}')
    own = json.loads(mmraw("layout", "640x480", "--family", "toy_tiles", "--json"))
    other = json.loads(
        mmraw("layout", "640x480", "--family", "toy_tiles", "--config", str(config), "--json")
    )
    assert own[0]["fingerprint"] != other[0]["fingerprint"]
    config.write_text('{"tiles": 16}')
    wrong = ["layout", "64x64", "--family", "toy_tiles", "--config", str(config), "--json"]
    assert json.loads(mmraw(*wrong, code=1))["error"]["code"] == "invalid_config"


def test_the_guide_shows_the_code_that_is_tested() -> None:
    guide = (ROOT / "docs" / "new-family.md").read_text()
    sources = "".join(path.read_text() for path in PACKAGE.iterdir() if path.is_file())
    blocks = re.findall(r"^```(?:python|toml)\n(.*?)^```", guide, re.M | re.S)
    assert len(blocks) >= 4
    for block in blocks:
        assert block.strip("\n") in sources
