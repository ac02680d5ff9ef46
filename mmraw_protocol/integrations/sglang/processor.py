"""SGLang's processor of images, which also takes refs: all requests of an engine pass through it.

A ref is replaced by its picture before SGLang loads anything, and what SGLang makes of the prompt
is compared with what the ref says.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...conversation.expanded_ids import compact_ids
from ...conversation.request_urls import is_ref
from ...wire.errors import MMRawError
from ...wire.ref import RawMMRef
from ..serving.admission import Loads
from ..serving.ref_images import RefImages
from .engine import SGLANG, refusal
from .identity import check_content_hash, file_under_refs
from .model import misfit_of_item, served_images


def made(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Around SGLang's `get_mm_processor`: a processor that takes refs too.

    Raises:
        MMRawError: what `served_images` raises; it stops the start.
    """
    processor = original(*args, **options)
    # A scheduler has one of its own, for prompts alone: it loads nothing.
    if not options.get("skip_mm_pool", False):
        with SGLANG.starting():
            images = served_images(processor, args[0])
        SGLANG.log_start(images.facts())
        processor.process_mm_data_async = takes_refs(processor, images)
    return processor


def refuse_workers(*_: Any, **__: Any) -> None:
    """Before SGLang starts several tokenizer workers: it loads no plugin into them.

    Raises:
        MMRawError: unsupported_option.
    """
    message = "SGLang loads no plugins into tokenizer workers: leave out --tokenizer-worker-num"
    with SGLANG.starting():
        raise MMRawError("unsupported_option", message)


def takes_refs(processor: Any, images: RefImages) -> Callable[..., Any]:
    """A `process_mm_data_async` that takes refs too; requests without refs go on unchanged."""
    original = processor.process_mm_data_async
    model: Any = {"adapter": images.adapter, "vocabulary": processor._tokenizer.get_vocab()}
    model |= {"engine": "sglang", "limits": images.settings.limits}

    async def process_mm_data_async(image_data: Any = None, *args: Any, **given: Any) -> Any:
        request, loads = given.get("request_obj"), Loads()
        failed: MMRawError | None = None
        try:
            refs = _refs(image_data, request, images)
            if not refs:
                return await original(image_data, *args, **given)
            images.check_total(refs.values(), given.get("max_req_input_len"))
            prompt = compact = given["input_text"]
            if isinstance(prompt, list):
                compact = compact_ids(prompt, refs, len(image_data), **model)
            loaded = await _with_pictures(image_data, refs, images, loads)
            found = await original(loaded, *args, **{**given, "input_text": compact})
            _compare(found, loaded, refs, images)
            if compact is not prompt and list(prompt) != list(found.input_ids):
                raise MMRawError("span_mismatch", "SGLang makes other token ids of the prompt", "")
            return found
        except MMRawError as error:
            failed = error
        finally:
            loads.close()
        SGLANG.report(failed, getattr(request, "rid", None))
        raise refusal(failed, is_stream=bool(getattr(request, "stream", False)))

    return process_mm_data_async


def checked(text: str, item: Any, images: RefImages) -> RawMMRef:
    """A ref, checked as far as it goes without its bytes.

    Args:
        text: The ref.
        item: What holds it, with what else is said of the image.
        images: Of the model.

    Raises:
        MMRawError: unsupported_option, what `RefImages.checked` raises.
    """
    from sglang.srt.multimodal.cache.identity import media_preprocess_kwargs

    if media_preprocess_kwargs(item, defaults={"detail": "auto"}):
        message = "options of one image change how it is processed: a ref has none"
        raise MMRawError("unsupported_option", message)
    return images.checked(text)


def url_of(item: Any) -> Any:
    """The URL of one entry of image_data, in each form that SGLang takes; else the entry."""
    if isinstance(item, Mapping):
        return None if "format" in item else item.get("url", item.get("image"))
    return getattr(item, "url", item)


def _refs(image_data: Any, request: Any, images: RefImages) -> dict[int, RawMMRef]:
    """The refs among the images by their places, checked as far as it goes without bytes.

    Raises:
        MMRawError: modality_unsupported (a ref for a video or for sound), not_a_ref,
            hash_mismatch, what `checked` raises.
    """
    for others in (getattr(request, "video_data", None), getattr(request, "audio_data", None)):
        if any(is_ref(url_of(item)) for item in (others if isinstance(others, list) else [others])):
            raise MMRawError("modality_unsupported", "a ref stands for a video or for sound")
    found: dict[int, RawMMRef] = {}
    for index, item in enumerate(image_data if isinstance(image_data, list) else []):
        failed: MMRawError | None = None
        try:
            if is_ref(url_of(item)):
                found[index] = checked(url_of(item), item, images)
                _take_content_hash(request, index, found[index])
            elif images.settings.refs_only:
                raise MMRawError("not_a_ref", "this server takes refs only (MMRAW_REFS_ONLY)")
        except MMRawError as error:
            failed = error
        if failed is not None:
            raise failed.at(f"$.images[{index}]")
    if found and getattr(request, "mm_hashes", None):
        raise MMRawError("unsupported_option", "a request with refs has no mm_hashes")
    return found


def _take_content_hash(request: Any, index: int, ref: RawMMRef) -> None:
    hashes = getattr(request, "mm_content_hashes", None)
    if hashes:
        check_content_hash(hashes[index], ref)
        request.mm_content_hashes = [*hashes[:index], None, *hashes[index + 1 :]]


async def _with_pictures(
    image_data: Sequence[Any], refs: Iterable[int], images: RefImages, loads: Loads
) -> list[Any]:
    """The images with pictures in the place of refs; of what is refused, the first."""
    waiting = [images.get(url_of(image_data[index]), loads) for index in refs]
    pictures = await asyncio.gather(*waiting, return_exceptions=True)
    found = list(image_data)
    for index, picture in zip(refs, pictures, strict=True):
        if isinstance(picture, BaseException):
            at = f"$.images[{index}]"
            raise picture.at(at) if isinstance(picture, MMRawError) else picture
        found[index] = picture
    return found


def _compare(found: Any, loaded: Sequence[Any], refs: Iterable[int], images: RefImages) -> None:
    """Compares what SGLang made with what refs say, and names its items of them.

    Args:
        found: What SGLang made of a prompt.
        loaded: The request's images, pictures in the place of refs: their sizes were verified.
        refs: The places of these.
        images: Of the model.

    Raises:
        MMRawError: lengths_differ (SGLang passes over images without a place in the prompt),
            grid_mismatch, placeholder_mismatch.
    """
    items = [item for item in found.mm_items if item.is_image()]
    if len(items) != len(loaded):
        message = f"the prompt has places for {len(items)} of {len(loaded)} images"
        raise MMRawError("lengths_differ", message)
    for index in refs:
        if misfit := misfit_of_item(items[index], loaded[index].size, images):
            message = f"SGLang makes {misfit[1]} of the image"
            raise MMRawError(misfit[0], message, f"$.images[{index}]")
        file_under_refs(items[index], loaded[index])
