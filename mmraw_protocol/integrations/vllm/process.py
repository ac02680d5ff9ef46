"""What the connectors of one process share: vLLM makes one for each request.

A server's endpoint plugin puts its images here when it starts, and says of each request which refs
it has checked. A script that uses vLLM's `LLM` has no such plugin (`script`). Every process of
vLLM imports this, so what is heavy is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec

from ...wire.errors import MMRawError

if TYPE_CHECKING:
    from .ref_images import RefImages


class Announced(msgspec.Struct, frozen=True):
    """The refs of the request that is served, each checked as far as it goes without its bytes.

    Attributes:
        indices: By its text, the place of a ref among the request's images; of a ref that stands
            there twice, the first.
        request_id: The client's X-Request-Id; None where it sent none.
    """

    indices: Mapping[str, int]
    request_id: str | None


announced: ContextVar[Announced | None] = ContextVar("mmraw_announced", default=None)


class Served(msgspec.Struct, frozen=True):
    """What a server's endpoint plugin found out of its model.

    Attributes:
        images: The pictures of refs under the model's layout.
        target: The token that the model's processor expands for an image.
        target_id: Its id.
    """

    images: RefImages
    target: str
    target_id: int


_served: Served | None = None


def serve(model: Served | None) -> None:
    """Opens this process's connectors to the refs of requests; None closes them again."""
    global _served
    _served = model


def served() -> Served | None:
    """What `serve` was given last."""
    return _served


def images_of_server(text: str) -> RefImages:
    """The server's images, if this request's ref was checked by the endpoint plugin.

    Raises:
        MMRawError: unsupported_option (the plugin is not active), not_a_ref (not announced).
    """
    if _served is None:
        message = "this server takes no refs: its endpoint plugin is off (VLLM_PLUGINS=mmraw)"
        raise MMRawError("unsupported_option", message)
    request = announced.get()
    if request is None or text not in request.indices:
        # Other ways to the connector have passed by the checks: a route that is no JSON, an input
        # that the server remembers, a spelling with escapes.
        message = "a ref stands where none is read: refs are image URLs in the request's JSON"
        raise MMRawError("not_a_ref", message)
    return _served.images


def images_of_script(text: str) -> RefImages:
    """The images for vLLM's synchronous loading: the server's, or those of MMRAW_MODEL.

    Raises:
        MMRawError: what `images_of_server` or `script_images` raises.
    """
    if _served is not None:
        return images_of_server(text)
    from .script import script_images

    return script_images()


def refs_only() -> bool:
    """Whether everything else that loads media is refused (MMRAW_REFS_ONLY).

    Raises:
        MMRawError: what `Settings.load` raises.
    """
    if _served is not None:
        return bool(_served.images.settings.refs_only)
    from .script import settings

    return bool(settings().refs_only)
