"""SGLang's disaggregated encoder, which loads the images of requests itself."""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ...conversation.request_urls import is_ref
from ...wire.errors import MMRawError
from ..serving.errors import status_of, text_of
from .model import images_of
from .plugin import SGLANG
from .processor import check_beside, url_of


def made(original: Callable[..., Any], encoder: Any, *args: Any, **given: Any) -> None:
    """Wraps the making of an encoder's preprocessor: adds the pictures of refs under its layout.

    Raises:
        MMRawError: what `images_of` raises; it stops the start.
    """
    original(encoder, *args, **given)
    with SGLANG.starting():
        config, changes = encoder.model_config.hf_config, encoder.vision_config.get("image")
        encoder.mmraw_images = images_of(config, encoder.image_processor, changes)
    SGLANG.log_start(encoder.mmraw_images.facts())


def load(
    original: Callable[..., Any], encoder: Any, data: Any, modality: Any, *args: Any, **given: Any
) -> Any:
    """Wraps the encoder's `_load_single_item`, which runs in a thread of its own.

    Raises:
        BadRequestError: a ref is refused (HTTP 400).
        InternalError: trouble of the server's own (HTTP 500).
    """
    failed: MMRawError | None = None
    try:
        if not is_ref(url_of(data)):
            encoder.mmraw_images.check_other(data)
            return original(encoder, data, modality, *args, **given)
        if modality.name != "IMAGE":
            raise MMRawError("modality_unsupported", "a ref stands for a video or for sound")
        ref = encoder.mmraw_images.checked(url_of(data))
        check_beside(ref, data)
        picture = encoder.mmraw_images.get_now(url_of(data))
        return original(encoder, picture, modality, *args, **given)
    except MMRawError as error:
        failed = error
    SGLANG.report(failed, None)
    from sglang.srt.disaggregation.encoder.server import BadRequestError, InternalError

    is_bad = status_of(failed) == HTTPStatus.BAD_REQUEST
    raise (BadRequestError if is_bad else InternalError)(text_of(failed))
