"""vLLM's media connector that resolves refs: `mmraw` in its MEDIA_CONNECTOR_REGISTRY.

vLLM makes one for each request and calls it for every URL of it. It is a class made when the plugin
is loaded, since its base is vLLM's.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...wire.errors import MMRawError
from ...wire.image_urls import url_kind_of
from ..serving.errors import REFS_ONLY
from ..serving.identity import INFO
from . import process
from .errors import vllm_error

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..serving.ref_images import RefImages


def connector_class(base: type[Any], image_io: type[Any]) -> type[Any]:
    """The connector on top of vLLM's own.

    Args:
        base: vLLM's MediaConnector.
        image_io: vLLM's ImageMediaIO; what is loaded for another one is not ours.
    """

    class RefConnector(base):
        """Resolves `mmraw:` URLs of images; all other media are loaded as vLLM does.

        It has no constructor and no state of its own (`process` has it). What is refused raises
        vLLM's VLLMValidationError (HTTP 400), trouble of the store's GracefulHTTPError (503).
        """

        def load_from_url(self, url: str, media_io: Any, **options: Any) -> Any:
            """One medium, for vLLM's synchronous callers."""
            if not (url_kind_of(url) == "ref" and isinstance(media_io, image_io)):
                _refuse_others()
                return super().load_from_url(url, media_io, **options)
            try:
                return _media(_images_now(url).get_now(url), media_io)
            except MMRawError as error:
                failed = error
            raise vllm_error(failed, url)

        async def load_from_url_async(self, url: str, media_io: Any, **options: Any) -> Any:
            """One medium, for the server; threads do what blocks."""
            if not (url_kind_of(url) == "ref" and isinstance(media_io, image_io)):
                _refuse_others()
                return await super().load_from_url_async(url, media_io, **options)
            try:
                images, request = process.images_of_request(url)
                return _media(await images.get(url, request.loads), media_io)
            except MMRawError as error:
                failed = error
            raise vllm_error(failed, url)

        def fetch_image_embedding(self, data: str) -> Any:
            """A tensor of a client's, unless this server takes refs only."""
            _refuse_others()
            return super().fetch_image_embedding(data)

        async def fetch_image_embedding_async(self, data: str) -> Any:
            """A tensor of a client's, unless this server takes refs only."""
            _refuse_others()
            return await super().fetch_image_embedding_async(data)

    return RefConnector


def _media(image: Image, media_io: Any) -> Any:
    """An image as vLLM's loaders give it; were its name not looked at, this is hashed for it.

    Raises:
        MMRawError: limit_exceeded (vLLM 0.33 bounds what the media of a request decode to).
    """
    from vllm.multimodal.media import MediaWithBytes

    budget, is_over = getattr(media_io, "decoded_budget", None), False
    try:
        if budget is not None:
            budget.charge(4 * image.width * image.height)
    except ValueError:
        is_over = True
    if is_over:
        message = "expected media within VLLM_MAX_MEDIA_REQUEST_DECODE_BYTES, got more"
        raise MMRawError("limit_exceeded", message)
    return MediaWithBytes(image, image.info[INFO].identity.encode())


def _images_now(url: str) -> RefImages:
    """The images of the server, or of a script, which has no endpoint plugin."""
    if process.served() is not None:
        return process.images_of_request(url)[0]
    from .script import script_images

    return script_images()


def _refuse_others() -> None:
    from .script import settings

    served = process.served()
    try:
        refs_only = (settings() if served is None else served.images.settings).refs_only
        failed = MMRawError("not_a_ref", REFS_ONLY)
    except MMRawError as error:
        refs_only, failed = True, error
    if refs_only:
        raise vllm_error(failed)
