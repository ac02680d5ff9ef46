"""A stand-in for what the plugin uses of vLLM's package, and requests to a server with it."""

import sys
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest
from PIL import ExifTags


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
    """Loads images."""


class VideoMediaIO:
    """Loads videos."""


@dataclass
class MediaWithBytes:
    """A medium and its file."""

    media: Any
    original_bytes: bytes


def filed_under(medium: Any) -> bytes:
    """What vLLM's hash of an image is made of: an image's own UUID, or else its file's bytes."""
    image = medium.media if isinstance(medium, MediaWithBytes) else medium
    own = image.getexif().get(ExifTags.Base.ImageID)
    if isinstance(own, uuid.UUID):
        return own.bytes
    return medium.original_bytes if isinstance(medium, MediaWithBytes) else image.tobytes()


class MediaConnector:
    """vLLM's own connector: says what it was asked for."""

    def load_from_url(self, url: str, media_io: Any, *, fetch_timeout: int | None = None) -> Any:
        """What stock loading gives."""
        return ("stock", url, fetch_timeout)

    async def load_from_url_async(
        self, url: str, media_io: Any, *, fetch_timeout: int | None = None
    ) -> Any:
        """What stock loading gives."""
        return ("stock", url, fetch_timeout)

    def fetch_image_embedding(self, data: str) -> Any:
        """A tensor."""
        return ("tensor", data)

    async def fetch_image_embedding_async(self, data: str) -> Any:
        """A tensor."""
        return ("tensor", data)


class Registry:
    """Where connectors are registered."""

    def __init__(self) -> None:
        self.classes: dict[str, Any] = {}

    def register(self, name: str) -> Any:
        """A decorator."""

        def keep(kind: Any) -> Any:
            self.classes[name] = kind
            return kind

        return keep


def install(patch: pytest.MonkeyPatch) -> Registry:
    """Makes `import vllm` find this; gives the registry of its connectors."""
    registry = Registry()
    media = ModuleType("vllm.multimodal.media")
    media.__dict__.update(
        MEDIA_CONNECTOR_REGISTRY=registry,
        ImageMediaIO=ImageMediaIO,
        MediaConnector=MediaConnector,
        MediaWithBytes=MediaWithBytes,
    )
    exceptions = ModuleType("vllm.exceptions")
    exceptions.__dict__.update(
        GracefulHTTPError=GracefulHTTPError, VLLMValidationError=VLLMValidationError
    )
    modules = [ModuleType("vllm"), ModuleType("vllm.multimodal"), media, exceptions]
    for module in modules:
        patch.setitem(sys.modules, module.__name__, module)
    return registry
