"""SGLang's processor of images, which also takes refs: all requests of an engine pass through it.

A ref is replaced by its picture before SGLang loads anything, and what SGLang makes of the prompt
is compared with what the ref says. SGLang names media by the digest of their bytes or pixels. A
ref's picture has another name, which no digest is, and no client can foretell (MMRAW_SECRET).
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from ...conversation.expanded_ids import compact_ids
from ...conversation.request_urls import is_ref
from ...families.served import refusal_of
from ...wire.errors import MMRawError
from ...wire.hashes import sha256_hex
from ...wire.ref import RawMMRef
from ..serving.admission import Loads
from ..serving.errors import status_of, text_of
from ..serving.identity import name_of
from ..serving.ref_images import RefImages
from .model import served_images, tokens_of
from .plugin import SGLANG


def made(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Wraps SGLang's `get_mm_processor`: returns a processor that takes refs too.

    Raises:
        MMRawError: what `served_images` raises; it stops the start.
    """
    processor = original(*args, **options)
    # A scheduler has one of its own, for prompts alone: it loads nothing.
    if not options.get("skip_mm_pool", False):
        inner = getattr(processor, "inner", processor)  # LLaVA's stands around another
        with SGLANG.starting():
            images = served_images(inner, args[0])
        SGLANG.log_start(images.facts())
        inner.process_mm_data_async = _takes_refs(inner, images, args[0].architectures)
    return processor


def _takes_refs(processor: Any, images: RefImages, forms: list[str]) -> Callable[..., Any]:
    """A `process_mm_data_async` that takes refs too; requests without refs go on unchanged."""
    original = processor.process_mm_data_async
    text_alone = refusal_of(images.adapter.family, forms, SGLANG.package)
    model: Any = {"adapter": images.adapter, "vocabulary": processor._tokenizer.get_vocab()}
    model |= {"engine": SGLANG.package, "limits": images.settings.limits}

    async def process_mm_data_async(image_data: Any = None, *args: Any, **given: Any) -> Any:
        request, loads = given.get("request_obj"), Loads()
        failed: MMRawError | None = None
        try:
            refs = _refs(image_data, request, images)
            if not refs:
                return await original(image_data, *args, **given)
            images.check_total(refs.values(), given.get("max_req_input_len"))
            prompt = compact = given["input_text"]
            if isinstance(prompt, list) and text_alone is not None:
                raise MMRawError("unsupported_option", text_alone)
            if isinstance(prompt, list):
                compact = compact_ids(prompt, refs, len(image_data), **model)
            pictures = await images.get_all({i: url_of(image_data[i]) for i in refs}, loads)
            loaded = [pictures.get(index, item) for index, item in enumerate(image_data)]
            found = await original(loaded, *args, **{**given, "input_text": compact})
            _compare(found, loaded, refs, images)
            if compact is not prompt and list(prompt) != list(found.input_ids):
                raise MMRawError("span_mismatch", "expected SGLang's token ids, got others", "")
            return found
        except MMRawError as error:
            failed = error
        finally:
            loads.close()
        SGLANG.report(failed, getattr(request, "rid", None))
        raise _refusal(failed, request)

    return process_mm_data_async


def _refusal(error: MMRawError, request: Any) -> Exception:
    """The error that SGLang answers with; its text has code and image, and no input."""
    status, text = status_of(error), text_of(error)
    # /generate has begun its stream; other routes have not, and note when they got a request.
    has_begun = getattr(request, "stream", False) and request.received_time is None
    if status != HTTPStatus.BAD_REQUEST and not has_begun:
        from fastapi import HTTPException

        return HTTPException(status, text)
    found: Any = ValueError(text)
    found.status_code = int(status)
    return found


def check_beside(ref: RawMMRef, item: Any, path: str = "$", *hashes: str | None) -> None:
    """Compares a ref with what its request says of the image otherwise.

    Raises:
        MMRawError: unsupported_option (options of one image), hash_mismatch (a content_hash that
            is not that of the ref's file).
    """
    from sglang.srt.multimodal.cache.identity import media_preprocess_kwargs

    if media_preprocess_kwargs(item, defaults={"detail": "auto"}):
        raise MMRawError("unsupported_option", "expected no options of an image beside a ref", path)
    own = item.get("content_hash") if isinstance(item, Mapping) else None
    for digest in filter(None, (own, *hashes)):
        if not str(digest).removeprefix("sha256:").lower().startswith(ref.mm_hash):
            raise MMRawError("hash_mismatch", "expected the ref's content_hash, got another", path)


def url_of(item: Any) -> Any:
    """The URL of one entry of image_data, in each form that SGLang takes; else the entry."""
    if isinstance(item, Mapping):
        return item.get("url", item.get("image"))
    return getattr(item, "url", item)


def _refs(image_data: Any, request: Any, images: RefImages) -> dict[int, RawMMRef]:
    """The refs among the images by their places, checked as far as it goes without bytes.

    Raises:
        MMRawError: modality_unsupported (a ref for a video or for sound), unsupported_option
            (mm_hashes), what `check_beside` and the checks of `RefImages` raise.
    """
    for others in (getattr(request, "video_data", None), getattr(request, "audio_data", None)):
        for item in others if isinstance(others, list) else [others]:
            if is_ref(url_of(item)):
                raise MMRawError("modality_unsupported", "a ref stands for a video or for sound")
            images.check_other(item)
    found: dict[int, RawMMRef] = {}
    entries = image_data if isinstance(image_data, list) else []
    hashes = getattr(request, "mm_content_hashes", None) or [None] * len(entries)
    for index, item in enumerate(entries):
        path = f"$.images[{index}]"
        if is_ref(url_of(item)):
            found[index] = images.checked(url_of(item), path)
            check_beside(found[index], item, path, hashes[index])
        else:
            images.check_other(item, path)
    if found:
        if getattr(request, "mm_hashes", None):
            message = "expected no mm_hashes in a request with refs, got some"
            raise MMRawError("unsupported_option", message)
        # The digest of a file stands for the file, and never for the picture of a ref.
        request.mm_content_hashes = [None if i in found else h for i, h in enumerate(hashes)]
    return found


def _compare(found: Any, loaded: list[Any], refs: Iterable[int], images: RefImages) -> None:
    """Compares what SGLang made of a prompt with its refs, and names the items of their pictures.

    Raises:
        MMRawError: lengths_differ (SGLang passes over images without a place in the prompt),
            grid_mismatch, placeholder_mismatch.
    """
    items = [item for item in found.mm_items if item.is_image()]
    places = items[0].offsets if len(items) == 1 else []
    if 1 < len(loaded) == len(places):
        # Models of Transformers have one item of all images, which SGLang files by its pixels.
        items = [SimpleNamespace(offsets=[p], model_specific_data={}, hash="") for p in places]
    if len(items) != len(loaded):
        message = f"expected places for {len(loaded)} images in the prompt, got {len(items)}"
        raise MMRawError("lengths_differ", message)
    for index in refs:
        item, picture = items[index], loaded[index]
        if misfit := images.misfit(picture.size, item.model_specific_data, tokens_of(item)):
            message = f"SGLang makes {misfit[1]} of the image"
            raise MMRawError(misfit[0], message, f"$.images[{index}]")
        if item.hash is None:
            item.set_hash(int(_digest_of(picture)[:16], 16))


def snapshot(original: Callable[[Any], Any], media: Any) -> Any:
    """Wraps SGLang's `snapshot_media`: the identity of a ref's picture is its ref's."""
    found, digest = original(media), _digest_of(media)
    return dataclasses.replace(found, content_digest=f"sha256:{digest}") if digest else found


def _digest_of(media: Any) -> str:
    """64 hex digits; empty where it is no picture of a ref."""
    name = name_of(media)
    return "" if name is None else sha256_hex(f"mmraw:{name.identity}".encode())
