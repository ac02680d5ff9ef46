"""Servers for the tests: one at a time, since each takes gigabytes and both cores."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exchange import RUN, Route
from server import VllmServer, write_entry_points
from tiny_gemma4 import make_gemma4_model
from tiny_models import make_kimi_k25, make_qwen3_vl
from urls import Urls

from mmraw_protocol.families import Adapter, get_adapter
from mmraw_protocol.stores import LocalStore

Start = Callable[..., VllmServer]

KEY = "a-key"
#: With the bfloat16 of the checkpoints, the two best tokens of random weights are often exactly as
#: likely, and which of them is taken depends on how a prompt is divided between cache and engine.
PRECISION = "--dtype=float32"
FAMILIES = {"qwen": "qwen_vl", "kimi": "kimi_k25"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one server stand together: starting one takes a minute."""

    def server(item: Any) -> tuple[bool, bool]:
        return "kimi" in item.nodeid, "urls" in item.fixturenames

    items.sort(key=server)


class Models:
    """Checkpoints that are made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}

    def get(self, name: str) -> Path:
        """The folder of `qwen`, `kimi` or `gemma4`."""
        if name not in self._made:
            made = {"qwen": make_qwen3_vl, "kimi": make_kimi_k25, "gemma4": make_gemma4_model}
            make = made[name]
            self._made[name] = make(self._folder / name)
        return self._made[name]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The tiny checkpoints."""
    return Models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A store of run exp42, which every server reads."""
    return LocalStore(tmp_path_factory.mktemp("store"), run_id=RUN)


@pytest.fixture(scope="session")
def entry_points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which vLLM finds the entry points of this package."""
    return write_entry_points(tmp_path_factory.mktemp("entry_points"))


@pytest.fixture(scope="session")
def start(
    models: Models,
    store: LocalStore,
    entry_points: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Start]:
    """Gives the server for a model and settings; one that is asked for again goes on."""
    running: dict[Any, VllmServer] = {}
    logs = tmp_path_factory.mktemp("logs")

    def get(model: str, *arguments: str, api_key: str = "", **settings: str) -> VllmServer:
        key = (model, arguments, api_key, tuple(sorted(settings.items())))
        if key not in running:
            for server in running.values():
                server.stop()
            running.clear()
            environment = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN, **settings}
            log = logs / f"{model}-{len(list(logs.iterdir()))}.log"
            arguments = (PRECISION, *arguments)
            server = VllmServer(models.get(model), log, environment, arguments, api_key)
            server.install(entry_points)
            server.start()
            running[key] = server
        return running[key]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def qwen(start: Start) -> VllmServer:
    """A Qwen3-VL; its cache is small, so that the tests see it evict."""
    return start("qwen", MMRAW_CACHE_BYTES=str(32 << 20))


@pytest.fixture(scope="session")
def qwen_adapter(models: Models) -> Adapter:
    """The layout of the Qwen3-VL, from its own folder."""
    return get_adapter("qwen_vl", models.get("qwen"))


@pytest.fixture
def qwen_route(qwen: VllmServer, qwen_adapter: Adapter, store: LocalStore) -> Route:
    """Offloaded v3 refs for the Qwen3-VL."""
    return Route(qwen, qwen_adapter, token_id(qwen.model, qwen_adapter.pad_token), store)


@pytest.fixture(scope="module", params=FAMILIES)
def urls(request: pytest.FixtureRequest, start: Start, models: Models, store: LocalStore) -> Urls:
    """A client of a server with the plugin, for each model."""
    options = (f"--api-key={KEY}", '--allowed-origins=["*"]', "--enable-request-id-headers")
    server = start(request.param, *options, api_key=KEY)
    convention = "expanded" if request.param == "kimi" else None
    family = FAMILIES[request.param]
    adapter = get_adapter(family, models.get(request.param), placeholder=convention)
    return Urls(server, adapter, token_id(server.model, adapter.pad_token), store)


def token_id(model: Path, token: str) -> int:
    """A token's id by the checkpoint's own tokenizer."""
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(model / "tokenizer.json")).token_to_id(token))
