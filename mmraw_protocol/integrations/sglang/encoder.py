"""SGLang's disaggregated encoder, which loads the images of requests itself."""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ...conversation.request_urls import is_ref
from ...wire.errors import MMRawError
from ..serving.errors import text_of
from ..serving.ref_images import RefImages
from .engine import SGLANG
from .identity import check_content_hash
from .model import images_of
from .processor import checked

#: The pictures of refs, under this name of an encoder.
_IMAGES = "mmraw_images"


def made(_: Any, encoder: Any, *__: Any, **___: Any) -> None:
    """After SGLang has made an encoder's preprocessor: the pictures of refs under its layout.

    Raises:
        MMRawError: unsupported_option (SGLang loads no plugin into an encoder's other processes),
            what `images_of` raises.
    """
    from sglang.srt.runtime_context import get_parallel

    with SGLANG.starting():
        if get_parallel().tp_size > 1:
            message = "SGLang loads no plugins into an encoder's other processes: --tp-size is 1"
            raise MMRawError("unsupported_option", message)
        config, changes = encoder.model_config.hf_config, encoder.vision_config.get("image")
        images = images_of(config, encoder.image_processor, changes)
        setattr(encoder, _IMAGES, images)
    SGLANG.log_start(images.facts())


def load(
    original: Callable[..., Any], encoder: Any, data: Any, modality: Any, *args: Any, **given: Any
) -> Any:
    """Around the encoder's `_load_single_item`, in a thread of its own.

    Raises:
        BadRequestError: a ref is refused (HTTP 400).
        InternalError: trouble of the server's own (HTTP 500).
    """
    item = cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {"url": data}
    if not is_ref(item.get("url")):
        return original(encoder, data, modality, *args, **given)
    failed: MMRawError | None = None
    try:
        picture = _picture(item, modality, getattr(encoder, _IMAGES))
        return original(encoder, picture, modality, *args, **given)
    except MMRawError as error:
        failed = error
    SGLANG.report(failed, None)
    from sglang.srt.disaggregation.encoder import server

    is_own = failed.http_status >= server.HTTPStatus.INTERNAL_SERVER_ERROR
    raise (server.InternalError if is_own else server.BadRequestError)(text_of(failed))


def _picture(item: Mapping[str, Any], modality: Any, images: RefImages) -> Any:
    if modality.name != "IMAGE":
        raise MMRawError("modality_unsupported", "a ref stands for a video or for sound")
    check_content_hash(item.get("content_hash"), checked(item["url"], item, images))
    return images.get_now(item["url"])
