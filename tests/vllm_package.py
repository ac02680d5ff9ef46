"""A stand-in for what the plugin uses of vLLM's package."""

import sys
from dataclasses import dataclass
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest


class VLLMError(Exception):
    """vLLM's own base."""


class VLLMValidationError(VLLMError):
    """HTTP 400."""


class GracefulHTTPError(VLLMError):
    """Any status."""

    def __init__(self, message: str, http_status: HTTPStatus) -> None:
        super().__init__(message)
        self.http_status = http_status


class ImageMediaIO:
    """Loads images; before 0.33 without a budget."""

    decoded_budget: Any = None


class VideoMediaIO:
    """Loads videos."""


@dataclass
class MediaWithBytes:
    """A medium and its file; it has all that the medium has."""

    media: Any
    original_bytes: bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.media, name)


class MediaConnector:
    """vLLM's own connector: says what it was asked for."""

    def load_from_url(self, url: str, media_io: Any, *, fetch_timeout: int | None = None) -> Any:
        """Loads as stock vLLM does."""
        return ("stock", url, fetch_timeout)

    async def load_from_url_async(
        self, url: str, media_io: Any, *, fetch_timeout: int | None = None
    ) -> Any:
        """Loads as stock vLLM does."""
        return ("stock", url, fetch_timeout)

    def fetch_image_embedding(self, data: str) -> Any:
        """A tensor."""
        return ("tensor", data)

    async def fetch_image_embedding_async(self, data: str) -> Any:
        """A tensor."""
        return ("tensor", data)


class Registry:
    """The registry of connectors."""

    def __init__(self) -> None:
        self.classes: dict[str, Any] = {}

    def register(self, name: str) -> Any:
        """A decorator."""

        def keep(kind: Any) -> Any:
            self.classes[name] = kind
            return kind

        return keep


class RendererRegistry:
    """The registry of renderers, by module and name."""

    def __init__(self) -> None:
        self.renderers = {"hf": ("vllm_server_stand_in", "StockRenderer")}


def install(patch: pytest.MonkeyPatch) -> Registry:
    """Makes `import vllm` find this; gives the registry of its connectors."""
    registry = Registry()
    names: dict[str, dict[str, Any]] = {
        "vllm": {"__version__": "0.32.0"},
        "vllm.multimodal": {},
        "vllm.multimodal.media": {
            "MEDIA_CONNECTOR_REGISTRY": registry,
            "ImageMediaIO": ImageMediaIO,
            "MediaConnector": MediaConnector,
            "MediaWithBytes": MediaWithBytes,
        },
        "vllm.exceptions": {
            "GracefulHTTPError": GracefulHTTPError,
            "VLLMValidationError": VLLMValidationError,
        },
        "vllm.renderers": {},
        "vllm.renderers.registry": {"RENDERER_REGISTRY": RendererRegistry()},
    }
    for name, contents in names.items():
        module = ModuleType(name)
        module.__dict__.update(contents)
        patch.setitem(sys.modules, name, module)
    return registry
