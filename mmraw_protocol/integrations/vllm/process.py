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


class Announced(msgspec.Struct):
    """The refs of the request that is served, each checked as far as it goes without its bytes.

    Attributes:
        places: By its text, the path of a ref in the request; of one that stands there twice, the
            first. Paths of features, or those of images among all of a request.
        request_id: The client's X-Request-Id; None where it sent none.
        expanded: The whole prompt as vLLM has to expand it; None where the refs are URLs.
        failed: What was refused since.
    """

    places: Mapping[str, str]
    request_id: str | None = None
    expanded: list[int] | None = None
    failed: list[MMRawError] = []

    def remember(self, error: MMRawError, url: str) -> MMRawError:
        """The error with the place of the ref, kept for the answer."""
        place = self.places.get(url)
        found = error if place is None else error.at(place)
        self.failed.append(found)
        return found

    def first(self) -> MMRawError | None:
        """Of what was refused, the image that stands first; vLLM answers with what failed first."""
        order = [*self.places.values()]
        by_place = [e for place in order for e in self.failed if e.path.startswith(place)]
        return next(iter([*by_place, *self.failed]), None)


announced: ContextVar[Announced | None] = ContextVar("mmraw_announced", default=None)


class Served(msgspec.Struct, frozen=True):
    """What a server's endpoint plugin found out of its model.

    Attributes:
        images: The pictures of refs under the model's layout.
        vocabulary: Ids of the family's tokens by their texts; None takes the published ones.
        target: The token that the model's processor expands for an image, and its id; None where
            its prompts have none.
        no_features: Why features with refs are refused; None where they are taken.
    """

    images: RefImages
    vocabulary: Mapping[str, int] | None = None
    target: tuple[str, int] | None = None
    no_features: str | None = None


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
    if request is None or text not in request.places:
        # Other ways to the connector have passed by the checks: a route that is no JSON, an input
        # that the server remembers.
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
        return _served.images.settings.refs_only
    from .script import settings

    return settings().refs_only
