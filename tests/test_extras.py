"""A package that is missing is named with the extra that brings it."""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path

import pytest

from mmraw_protocol import MMRawError, open_store
from mmraw_protocol.cli import main
from mmraw_protocol.images.header import pillow
from mmraw_protocol.integrations.renderers import create_raw_renderer
from mmraw_protocol.wire.compression import compression_of
from mmraw_protocol.wire.extras import extra_module
from mmraw_protocol.wire.rows import RowFile

PACKAGE = Path(__file__).parent.parent / "mmraw_protocol"

#: Calls that need an extra, and the modules that only the extra brings.
FUNCTIONS: dict[str, tuple[Callable[[], object], list[str]]] = {
    "vision": (pillow, ["PIL.Image"]),
    "arrow": (lambda: RowFile(io.BytesIO(b"PAR1")), ["pyarrow.parquet"]),
    "zstd": (lambda: compression_of(b"\x28\xb5\x2f\xfd"), ["compression.zstd", "zstandard"]),
    "object-store": (lambda: open_store("s3://bucket/images"), ["obstore.store"]),
    "renderers": (lambda: create_raw_renderer(None), ["renderers"]),
}
COMMANDS = {
    "cli": (["completion", "bash"], "shtab"),
    "ray": (["validate", "s3://bucket/rollouts", "--engine", "ray"], "ray"),
}


@pytest.mark.parametrize("extra", FUNCTIONS)
def test_a_function_names_the_extra_that_it_needs(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, names = FUNCTIONS[extra]
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MMRawError) as caught:
        call()
    assert caught.value.code == "missing_dependency"
    assert f"install mmraw-protocol[{extra}] " in caught.value.message


@pytest.mark.parametrize("extra", COMMANDS)
def test_a_command_names_the_extra_that_it_needs(
    extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, name = COMMANDS[extra]
    monkeypatch.setitem(sys.modules, name, None)
    assert main(arguments) == 1
    assert f"install mmraw-protocol[{extra}] " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [
        ("mmraw_protocol.files.batches", "pyarrow", "arrow"),
        ("mmraw_protocol.integrations.ray", "ray", "ray"),
    ],
)
def test_a_module_names_the_extra_without_which_it_is_not_imported(
    module: str, name: str, extra: str
) -> None:
    if extra == "ray":
        pytest.importorskip("pyarrow")
    program = f"import sys; sys.modules[{name!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: install mmraw-protocol[{extra}] ")


def test_every_extra_that_a_message_names_exists() -> None:
    call = re.compile(r'extra_module\((?:"[\w.]+"|name), "([\w-]+)"')
    text = "".join(path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    named = set(call.findall(text))
    assert set(FUNCTIONS) | set(COMMANDS) <= named
    assert named <= set(metadata("mmraw-protocol").get_all("Provides-Extra") or [])


def test_a_module_that_is_there_is_given() -> None:
    assert extra_module("json", "none", "for nothing").loads("1") == 1
