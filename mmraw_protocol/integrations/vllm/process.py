"""State that the connectors and renderers of one process share; vLLM makes a connector per request.

A server's endpoint plugin puts its images here when it starts, and says of each request which refs
it has checked. A script that uses vLLM's `LLM` has no such plugin (`script`). Every process of
vLLM imports this, so what is heavy is imported where it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec

from ...wire.errors import MMRawError
from ..serving.admission import Loads

if TYPE_CHECKING:
    from ..serving.ref_images import RefImages


class Announced(msgspec.Struct):
    """The refs of the request that is served, each checked as far as it goes without its bytes.

    Attributes:
        paths: The path of a ref in the request by its text; of one that stands there twice, the
            first.
        expanded: The whole prompt that vLLM has to make of it; None where the refs are URLs.
        failed: What was refused since.
        loads: Its images on their way.
    """

    paths: Mapping[str, str]
    expanded: list[int] | None = None
    failed: list[MMRawError] = []
    loads: Loads = msgspec.field(default_factory=Loads)

    def remember(self, error: MMRawError, text: str) -> MMRawError:
        """The error with the path of its ref, kept for the answer."""
        path = self.paths.get(text)
        self.failed.append(error if path is None else error.with_path_prefix(path))
        return self.failed[-1]

    def first(self) -> MMRawError | None:
        """The first rejected image by place; vLLM itself answers with what failed first in time."""
        paths = self.paths.values()
        ordered = [e for path in paths for e in self.failed if e.path.startswith(path)]
        return next(iter([*ordered, *self.failed]), None)


announced: ContextVar[Announced | None] = ContextVar("mmraw_announced", default=None)


class Served(msgspec.Struct, frozen=True):
    """The facts that a server's endpoint plugin found about its model.

    Attributes:
        images: The pictures of refs under the model's layout.
        vocabulary: Ids of the family's tokens by their texts; None takes the published ones.
        target: The token that the model's processor expands for an image, and its id; None where
            its prompts have none.
        no_features: Why features with refs are refused; None where they are taken.
        most_tokens: Tokens of a prompt, at most.
        most_images: Images of a prompt, at most.
    """

    images: RefImages
    vocabulary: Mapping[str, int] | None = None
    target: tuple[str, int] | None = None
    no_features: str | None = None
    most_tokens: int = sys.maxsize
    most_images: int = sys.maxsize

    def check_sizes(self, tokens: int, images: int = 0, prompts: int = 1) -> None:
        """Refuses as many tokens or images as vLLM would refuse after reading them.

        Raises:
            MMRawError: limit_exceeded.
        """
        if tokens > prompts * self.most_tokens:
            message = f"expected at most {self.most_tokens} tokens (max_model_len), got {tokens}"
            raise MMRawError("limit_exceeded", message, "")
        if images > prompts * self.most_images:
            most = f"{self.most_images} images (--limit-mm-per-prompt)"
            message = f"expected at most {most}, got {images}"
            raise MMRawError("limit_exceeded", message, "")


_served: Served | None = None


def serve(model: Served | None) -> None:
    """Opens this process's connectors to the refs of requests; None closes them again."""
    global _served
    _served = model


def served() -> Served | None:
    """Returns what `serve` was given last."""
    return _served


def images_of_request(text: str) -> tuple[RefImages, Announced]:
    """The server's images and the request, if its ref was checked by the endpoint plugin.

    Raises:
        MMRawError: unsupported_option (the plugin is not active), not_a_ref (not announced).
    """
    if _served is None:
        message = "this server takes no refs: its endpoint plugin is off (VLLM_PLUGINS=mmraw)"
        raise MMRawError("unsupported_option", message)
    request = announced.get()
    if request is None or text not in request.paths:
        # Other ways to the connector have passed by the checks: a route that is no JSON, an input
        # that the server remembers.
        message = "a ref stands where none is read: refs are image URLs in the request's JSON"
        raise MMRawError("not_a_ref", message)
    return _served.images, request
