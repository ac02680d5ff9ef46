"""The released SGLang as far as a machine without a GPU goes: all of it but scheduler and model.

Every test shares one process: SGLang's own `load_plugins` has applied the hooks in it, from the
entry points of this package.
"""

# pyright: reportMissingImports=false

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from application import Application, started
from engine import RUN, Engine
from server import write_entry_points

from mmraw_protocol.stores import LocalStore


def pytest_configure(config: pytest.Config) -> None:
    """SGLang leaves the sockets of an engine open, and its packages warn of much."""
    for kind in ("ResourceWarning", "DeprecationWarning", "UserWarning"):
        config.addinivalue_line("filterwarnings", f"ignore::{kind}")
    ignored = "ignore::pytest.PytestUnraisableExceptionWarning"
    config.addinivalue_line("filterwarnings", ignored)


@pytest.fixture(scope="session", autouse=True)
def contexts() -> Iterator[None]:
    """Keeps what holds SGLang's sockets: one that is collected waits for sockets that are open."""
    import zmq.asyncio

    made: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        new = zmq.asyncio.Context
        patch.setattr(zmq.asyncio, "Context", lambda *args: made.append(new(*args)) or made[-1])
        yield
    for context in made:
        context.destroy(linger=0)


@pytest.fixture(scope="session", autouse=True)
def plugins(tmp_path_factory: pytest.TempPathFactory, contexts: None) -> Iterator[set[str]]:
    """The names in SGLang that load_plugins has hooked."""
    sys.path.insert(0, str(write_entry_points(tmp_path_factory.mktemp("installed"))))
    os.environ["SGLANG_PLUGINS"] = "mmraw"
    from sglang.srt.plugins import load_plugins
    from sglang.srt.plugins.hook_registry import HookRegistry

    load_plugins()
    from sglang.srt.multimodal.processors import internvl

    # SGLang cuts InternVL's tiles on a GPU; the arithmetic is the same here.
    internvl.get_device = lambda: "cpu"
    yield set(HookRegistry._patched)
    del sys.path[0], os.environ["SGLANG_PLUGINS"]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A store of run exp42, which every engine reads."""
    return LocalStore(tmp_path_factory.mktemp("store"), run_id=RUN)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory, store: LocalStore, plugins: Any) -> Any:
    """Engines of the tiny checkpoints, each made when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("models"), dict[str, Engine]()

    def get(name: str) -> Engine:
        if name not in made:
            made[name] = Engine(name, folder / name, store)
        return made[name]

    return get


@pytest.fixture
def qwen(engines: Any) -> Engine:
    """Qwen3-VL."""
    return engines("qwen3_vl")


@pytest.fixture(scope="module")
def served(engines: Any) -> Iterator[Application]:
    """The HTTP application of Qwen3-VL."""
    with started(engines("qwen3_vl")) as application:
        yield application


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The folder in which a test makes a checkpoint of its own."""
    return tmp_path / "model"
