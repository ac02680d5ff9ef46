"""The start of a server with the plugin, and what stops it, with stand-ins for vLLM's parts."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import vllm_package
from vllm_server_stand_in import ImageProcessor, Renderer, vocabulary_of
from vllm_stand_in import QWEN

from mmraw_protocol import MMRawError
from mmraw_protocol.integrations.serving import ref_images
from mmraw_protocol.integrations.vllm import plugin, process
from mmraw_protocol.integrations.vllm.endpoint import MMRawEndpoint
from mmraw_protocol.integrations.vllm.engine import VLLM
from mmraw_protocol.integrations.vllm.requests import RefRequests
from mmraw_protocol.stores import LocalStore

IMAGES = ImageProcessor(
    {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    | {"size": {"shortest_edge": 65536, "longest_edge": 16777216}}
)
SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plugin is asked for; nothing is served after a test."""
    monkeypatch.setenv(plugin.PLUGINS_ENV, plugin.NAME)
    monkeypatch.delenv(plugin.CONNECTOR_ENV, raising=False)
    yield
    process.serve(None)


class App:
    """A server's application before it starts."""

    def __init__(self) -> None:
        self.layers: list[Any] = []

    def add_middleware(self, layer: Any) -> None:
        """Puts a layer around what is there."""
        self.layers.append(layer)


def start(patch: pytest.MonkeyPatch, store: LocalStore, args: Any = None) -> App:
    """Starts the endpoint plugin as vLLM does, with a model that the adapter fits."""
    vllm_package.install(patch)
    patch.setenv("MMRAW_STORE", str(store.root))
    patch.setenv("MMRAW_RUN_ID", "exp42")
    app, endpoint = App(), MMRawEndpoint()
    endpoint.attach_router(app)
    config = SimpleNamespace(
        is_multimodal_model=True,
        hf_config=SimpleNamespace(model_type="qwen3_vl"),
        multimodal_config=None,
        max_model_len=8192,
    )
    processor = SimpleNamespace(image_processor=IMAGES)
    info = SimpleNamespace(get_hf_processor=lambda: processor, allowed_mm_limits={"image": 4})
    own = SimpleNamespace(info=info)
    renderer = Renderer(
        QWEN, vocabulary_of("qwen_vl"), model_config=config, get_mm_processor=lambda: own
    )
    state = SimpleNamespace(online_renderer=SimpleNamespace(renderer=renderer))
    asyncio.run(endpoint.init_state(None, state, args))
    return app


def test_the_endpoint_plugin_opens_refs_when_the_model_is_known(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore
) -> None:
    app = start(monkeypatch, store)
    served = process.served()
    assert app.layers == [RefRequests]
    assert served is not None
    assert served.target == (QWEN.pad_token, vocabulary_of("qwen_vl")[QWEN.pad_token])
    assert served.no_features is None


def test_the_log_warns_where_a_full_prompt_would_be_refused(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "vllm.mmraw")
    start(monkeypatch, store)
    assert "MMRAW_INFLIGHT_BYTES" not in caplog.text
    monkeypatch.setenv("MMRAW_INFLIGHT_BYTES", "20000000")
    limits = '{"image_pixels": 1000000, "inline_image_bytes": 1000000}'
    monkeypatch.setenv("MMRAW_LIMITS", limits)
    start(monkeypatch, store)
    assert "MMRAW_INFLIGHT_BYTES is less" in caplog.text


def test_a_server_that_could_never_read_its_largest_image_does_not_start(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore
) -> None:
    # Enough to decode it, not for what the processor makes of it.
    monkeypatch.setenv("MMRAW_INFLIGHT_BYTES", "500000000")
    limits = {"image_pixels": 50_000_000, "inline_image_bytes": 1_000_000}
    monkeypatch.setenv("MMRAW_LIMITS", json.dumps(limits))
    with monkeypatch.context() as patch:
        patch.setattr(ref_images, "_TOKEN_BYTES", 1 << 16)
        with pytest.raises(MMRawError, match="MMRAW_INFLIGHT_BYTES is 500000000"):
            start(patch, store)
    assert process.served() is None
    start(monkeypatch, store)


def test_what_cannot_serve_does_not_start(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MMRAW_FAMILIES", "gemma4")
    with pytest.raises(MMRawError, match="leaves out the model's family"):
        start(monkeypatch, store)
    assert re.search(r"mmraw .* cannot start in vLLM 0.32.0.*leaves out", caplog.text)
    assert "Traceback" in caplog.text
    assert process.served() is None
    monkeypatch.setenv("MMRAW_WORKERS", "0")
    with pytest.raises(MMRawError, match="MMRAW_WORKERS"):
        MMRawEndpoint().attach_router(App())


def test_a_renderer_that_is_not_the_plugins_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore
) -> None:
    monkeypatch.setattr(Renderer, "takes_refs", False)
    with pytest.raises(MMRawError, match="before this plugin was loaded"):
        start(monkeypatch, store)


def test_several_api_servers_need_a_secret_that_they_share(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    with pytest.raises(MMRawError, match="MMRAW_SECRET is needed"):
        start(monkeypatch, store, SimpleNamespace(api_server_count=2))
    assert process.served() is None
    start(monkeypatch, store, SimpleNamespace(api_server_count=1))
    assert "identity secret (made for this process)" in caplog.text
    caplog.clear()
    monkeypatch.setenv("MMRAW_SECRET", SECRET)
    start(monkeypatch, store, SimpleNamespace(api_server_count=2))
    assert process.served() is not None
    assert "made for this process" not in caplog.text
    assert "horse" not in caplog.text


def test_the_log_says_that_clients_can_know_the_names_of_pictures(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    monkeypatch.setenv("MMRAW_IDENTITY", "mm_hash")
    start(monkeypatch, store, SimpleNamespace(api_server_count=2))
    assert "identity mm_hash (known to everybody)" in line_of(caplog)


def line_of(caplog: pytest.LogCaptureFixture) -> str:
    """The line that says what is served; it is one."""
    (line,) = [r.getMessage() for r in caplog.records if "takes refs" in r.getMessage()]
    return line


def test_one_line_says_what_is_served(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    monkeypatch.setenv("MMRAW_LIMITS", '{"image_pixels": 1000}')
    monkeypatch.setenv("MMRAW_CACHE_BYTES", "4096")
    monkeypatch.setenv("MMRAW_SECRET", SECRET)
    monkeypatch.setenv("MMRAW_EPOCH", "step-7")
    start(monkeypatch, store, SimpleNamespace(enable_scale_out=True))
    line = line_of(caplog)
    for said in (
        "in vLLM 0.32.0",
        "family qwen_vl",
        QWEN.fingerprint(),
        str(store.root),
        "exp42",
        "{'image_pixels': 1000}",
        "cache_bytes 4096",
        "identity secret",
        "epoch step-7",
        "connector mmraw",
        "features on",
    ):
        assert said in line
    assert SECRET not in caplog.text


def test_the_line_says_that_the_features_route_is_closed(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vllm.mmraw")
    start(monkeypatch, store, SimpleNamespace(enable_scale_out=False))
    assert "features off (they need --enable-scale-out)" in line_of(caplog)


@pytest.mark.parametrize("at", ["plugin", "endpoint"])
def test_a_vllm_that_is_too_old_does_not_start(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    vllm_package.install(monkeypatch)
    monkeypatch.setattr(sys.modules["vllm"], "__version__", "0.29.0")
    with pytest.raises(MMRawError, match=r"too old: mmraw is for vLLM 0\.30 to 0\.33"):
        plugin.register() if at == "plugin" else MMRawEndpoint().attach_router(App())


def test_a_vllm_that_is_newer_starts_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    vllm_package.install(monkeypatch)
    newer = (VLLM.newest[0], VLLM.newest[1] + 1)
    for version, warned in ((VLLM.oldest, False), (VLLM.newest, False), (newer, True)):
        caplog.clear()
        monkeypatch.setattr(sys.modules["vllm"], "__version__", "{}.{}.0".format(*version))
        plugin.register()
        assert ("is newer than" in caplog.text) is warned


def test_a_name_that_moved_in_vllm_stops_the_start_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vllm_package.install(monkeypatch)
    monkeypatch.delattr(sys.modules["vllm.multimodal.media"], "MediaConnector")
    with pytest.raises(ImportError):
        plugin.register()
    assert re.search(r"cannot start in vLLM 0.32.0.*MediaConnector", caplog.text)
    assert "Traceback" in caplog.text


def test_who_did_not_ask_for_the_plugin_gets_vllm_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(plugin.PLUGINS_ENV)
    registry = vllm_package.install(monkeypatch)
    monkeypatch.setattr(sys.modules["vllm"], "__version__", "0.29.0")
    plugin.register()
    assert not registry.classes
    assert "too old" in caplog.text
