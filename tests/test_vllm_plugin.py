"""Refs as image URLs: vLLM's media connector `mmraw`, with stand-ins for vLLM.

What needs a real server is in tests/e2e/test_plugin.py.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from samples import JPEG, RGBA
from vllm_package import (
    GracefulHTTPError,
    ImageMediaIO,
    MediaWithBytes,
    VideoMediaIO,
    VLLMValidationError,
    install,
)
from vllm_stand_in import ANIMATION, CUT_OFF, NAMING, QWEN, inline, stored

from mmraw_protocol import MMRawError, format_ref
from mmraw_protocol.integrations.serving.identity import name_of
from mmraw_protocol.integrations.serving.ref_images import RefImages
from mmraw_protocol.integrations.serving.settings import Settings
from mmraw_protocol.integrations.vllm import plugin, process, script
from mmraw_protocol.integrations.vllm.process import Announced, Served, announced
from mmraw_protocol.stores import LocalStore


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connector as vLLM makes one; its process serves nothing yet."""
    monkeypatch.delenv(plugin.CONNECTOR_ENV, raising=False)
    registry = install(monkeypatch)
    plugin.register()
    yield registry.classes["mmraw"]()
    process.serve(None)
    script.settings.cache_clear()
    script.script_images.cache_clear()


def settings(store: LocalStore, **changes: Any) -> Settings:
    """Settings of a server with that store."""
    return Settings(store=str(store.root), run_id="exp42", **changes)


def serve(store: LocalStore, **changes: Any) -> None:
    """Starts what the endpoint plugin starts."""
    process.serve(Served(RefImages(QWEN, settings(store, **changes), NAMING)))


def load(connector: Any, *urls: str, media_io: Any = None) -> list[Any]:
    """Loads all at once, as a request of the server does; errors are results."""

    async def all_of_them() -> list[Any]:
        announced.set(Announced({url: f"$.images[{index}]" for index, url in enumerate(urls)}))
        io = ImageMediaIO() if media_io is None else media_io
        return await asyncio.gather(
            *(connector.load_from_url_async(url, io, fetch_timeout=5) for url in urls),
            return_exceptions=True,
        )

    return asyncio.run(all_of_them())


def test_a_ref_gives_the_pixels_of_the_contract(connector: Any, store: LocalStore) -> None:
    serve(store)
    urls = [format_ref(stored(store)), format_ref(stored(store, RGBA)), format_ref(inline(store))]
    one, alpha, again = load(connector, *urls)
    assert isinstance(one, MediaWithBytes)
    assert (one.media.mode, one.media.size, alpha.media.mode) == ("RGB", (320, 200), "RGB")
    # Kimi's chunks take `.media` alone.
    for kept in ([one, alpha, again], [one.media, alpha.media, again.media]):
        first, other, third = [name_of(found) for found in kept]
        assert first == third != other
        assert first is not None
        assert first.num_tokens == QWEN.num_tokens(QWEN.describe(JPEG).payload)
    # Were that not looked at, vLLM would hash these, and take no picture for another.
    assert one.original_bytes == again.original_bytes != alpha.original_bytes
    assert one.media.tobytes() == again.media.tobytes()


def test_everything_else_is_loaded_as_vllm_does(connector: Any, store: LocalStore) -> None:
    for start in (lambda: process.serve(None), lambda: serve(store)):
        start()
        for url in ("data:image/png;base64,AAAA", "https://example.org/a.png", "MMRAW:v3:e30"):
            assert load(connector, url) == [("stock", url, 5)]
            assert connector.load_from_url(url, ImageMediaIO()) == ("stock", url, None)
        ref = format_ref(stored(store))
        assert load(connector, ref, media_io=VideoMediaIO()) == [("stock", ref, 5)]
        assert connector.fetch_image_embedding("AAAA") == ("tensor", "AAAA")
        assert asyncio.run(connector.fetch_image_embedding_async("A")) == ("tensor", "A")


class Budget:
    """The size to which the media of one request may decode, as vLLM 0.33 counts it."""

    def __init__(self, most: int) -> None:
        self.left = most

    def charge(self, decoded_bytes: int) -> None:
        """Takes so many."""
        if decoded_bytes > self.left:
            raise ValueError("Request decoded media exceeds ...")
        self.left -= decoded_bytes


def test_refs_count_in_vllms_own_bound_on_what_a_request_decodes_to(
    connector: Any, store: LocalStore
) -> None:
    serve(store)
    ref, io, budget = format_ref(stored(store)), ImageMediaIO(), Budget(4 * 320 * 200)
    io.decoded_budget = budget
    assert isinstance(load(connector, ref, media_io=io)[0], MediaWithBytes)
    assert budget.left == 0
    # One that is kept, too.
    (refused,) = load(connector, ref, media_io=io)
    assert isinstance(refused, VLLMValidationError)
    assert str(refused).startswith("limit_exceeded: ")
    assert "VLLM_MAX_MEDIA_REQUEST_DECODE_BYTES, got more (image 0)" in str(refused)


def test_refs_only_refuses_every_other_url_and_tensor(connector: Any, store: LocalStore) -> None:
    serve(store, refs_only=True)
    for io in (ImageMediaIO(), VideoMediaIO()):
        (refused,) = load(connector, "https://example.org/a", media_io=io)
        assert isinstance(refused, VLLMValidationError)
        assert str(refused).startswith("not_a_ref: ")
    with pytest.raises(VLLMValidationError, match="not_a_ref"):
        connector.fetch_image_embedding("AAAA")
    assert isinstance(load(connector, format_ref(stored(store)))[0], MediaWithBytes)


def test_a_server_without_the_endpoint_plugin_takes_no_ref(
    connector: Any, store: LocalStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A setting that opens refs to scripts opens none to a server.
    monkeypatch.setenv(script.MODEL_ENV, str(tmp_path))
    (refused,) = load(connector, format_ref(stored(store)))
    assert isinstance(refused, VLLMValidationError)
    assert "VLLM_PLUGINS=mmraw" in str(refused)


def test_a_ref_that_the_request_did_not_announce_is_refused(
    connector: Any, store: LocalStore
) -> None:
    serve(store)
    ref = format_ref(stored(store))

    async def unannounced() -> Any:
        return await connector.load_from_url_async(ref, ImageMediaIO())

    with pytest.raises(VLLMValidationError, match="not_a_ref"):
        asyncio.run(unannounced())


def test_a_refusal_names_code_and_image(connector: Any, store: LocalStore) -> None:
    serve(store)
    name = store.put(ANIMATION)
    animated = stored(store, raw_image_id=name, mm_hash=name[:32])
    missing = stored(store, RGBA)
    (store.root / str(missing.raw_image_id)).unlink()
    bad = [stored(store, CUT_OFF), animated, missing]
    urls = [format_ref(ref) for ref in [stored(store), *bad]]
    codes = ["image_undecodable", "multiple_frames", "source_unavailable", "unsupported_dialect"]
    for code, url in zip(codes, [*urls[1:], "mmraw:v9:x"], strict=True):
        refused = load(connector, urls[0], url)[1]
        assert isinstance(refused, VLLMValidationError)
        assert str(refused).startswith(f"{code}: ")
        assert str(refused).endswith(" (image 1)")


def test_a_store_that_does_not_answer_is_503(
    connector: Any, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(store)
    ref = format_ref(stored(store))

    def down(*_: Any, **__: Any) -> bytes:
        raise MMRawError("store_unavailable", "the disk failed")

    monkeypatch.setattr(LocalStore, "get", down)
    (refused,) = load(connector, ref)
    assert isinstance(refused, GracefulHTTPError)
    assert refused.http_status == HTTPStatus.SERVICE_UNAVAILABLE
    monkeypatch.undo()
    # A failure is never kept.
    install(monkeypatch)
    assert isinstance(load(connector, ref)[0], MediaWithBytes)


def test_who_changes_a_picture_changes_no_other_requests(connector: Any, store: LocalStore) -> None:
    serve(store)
    ref = format_ref(stored(store))
    (one,) = load(connector, ref)
    before = one.media.tobytes()
    (other,) = load(connector, ref)
    one.media.paste((1, 2, 3), (0, 0, 320, 200))
    other.media.putpixel((0, 0), (9, 9, 9))
    assert one.media.tobytes() != before
    assert load(connector, ref)[0].media.tobytes() == before


def test_nothing_of_the_file_goes_with_the_pixels(connector: Any, store: LocalStore) -> None:
    serve(store)
    (found,) = load(connector, format_ref(stored(store)))
    assert (dict(found.media.getexif()), set(found.media.info)) == ({}, {"mmraw"})


def test_a_script_takes_refs_where_mmraw_model_names_the_model(
    connector: Any, store: LocalStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ref = format_ref(stored(store))
    monkeypatch.setenv("MMRAW_STORE", str(store.root))
    monkeypatch.setenv("MMRAW_RUN_ID", "exp42")
    with pytest.raises(VLLMValidationError, match="MMRAW_MODEL names"):
        connector.load_from_url(ref, ImageMediaIO())
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen3_vl"}')
    monkeypatch.setenv(script.MODEL_ENV, str(model))
    with pytest.raises(VLLMValidationError, match="invalid_config"):
        connector.load_from_url(ref, ImageMediaIO())
    (model / "preprocessor_config.json").write_text('{"patch_size": 16, "merge_size": 4}')
    with pytest.raises(VLLMValidationError):
        connector.load_from_url(ref, ImageMediaIO())
    (model / "preprocessor_config.json").write_text(
        '{"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2,'
        ' "size": {"shortest_edge": 65536, "longest_edge": 16777216}}'
    )
    script.script_images.cache_clear()
    assert connector.load_from_url(ref, ImageMediaIO()).media.size == (320, 200)


def test_the_plugin_leaves_another_connector_where_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = install(monkeypatch)
    for before, after in ((None, "mmraw"), ("http", "http")):
        monkeypatch.delenv(plugin.CONNECTOR_ENV, raising=False)
        if before is not None:
            monkeypatch.setenv(plugin.CONNECTOR_ENV, before)
        plugin.register()
        assert os.environ[plugin.CONNECTOR_ENV] == after
        assert set(registry.classes) == {"mmraw"}


def test_the_plugin_is_light_since_engine_and_workers_load_it() -> None:
    heavy = ("PIL", "numpy", "mmraw_protocol.stores", "mmraw_protocol.images")
    program = (
        "import sys\n"
        "from mmraw_protocol.integrations.vllm import connector, endpoint, plugin, renderers\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_only_what_fits_is_kept(store: LocalStore) -> None:
    ref = format_ref(stored(store))
    for capacity, kept in ((0, 0), (320 * 200 * 4 - 1, 0), (320 * 200 * 4, 320 * 200 * 4)):
        images = RefImages(QWEN, settings(store, cache_bytes=capacity), NAMING)
        assert isinstance(images.get_now(ref), Image.Image)
        assert images.cached_bytes == kept
        images.close()
