"""Content parts: the images of a generate request by their URLs, refs among them.

Source: spec/README.md, section "Refs as URLs"; schema urn:mmraw:content-parts:v1. The form is that
of vLLM from 0.28 on, which passes over parts of unknown types; here they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..system.shown import Shown
from ._generated.checks import check_content_parts
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.modalities import PARTS
from .errors import MMRawError
from .image_urls import (
    ImageUrl,
    ReadRef,
    check_bounds,
    check_slots,
    document_of,
    read_url,
    ref_reader,
)
from .modality import unsupported

if TYPE_CHECKING:
    from .ref_memory import RefMemory

__all__ = ["ContentImage", "ContentParts", "parse_content_parts"]

PART_TYPE = "image_url"
_WHAT = "content parts"


class ContentImage(ImageUrl, frozen=True, kw_only=True):
    """One image of a request.

    Attributes:
        uuid: The key under which the server caches the image; None if it takes its own. Beside
            a ref it is the ref's mm_hash.
    """

    uuid: str | None = None

    def __hash__(self) -> int:
        return super().__hash__()


class ContentParts(Shown, msgspec.Struct, frozen=True):
    """Checked content parts: the images in the order of the prompt."""

    images: list[ContentImage]

    def to_list(self) -> list[dict[str, str]]:
        """The parts as builtins, absent keys left out."""
        return [
            {"type": PART_TYPE, "url": image.url}
            | ({} if image.uuid is None else {"uuid": image.uuid})
            for image in self.images
        ]


def parse_content_parts(
    parts: Sequence[Mapping[str, Any]] | str | bytes | ContentParts,
    *,
    limits: Limits = DEFAULT_LIMITS,
    memory: RefMemory | None = None,
) -> ContentParts:
    """Reads the content parts of a request, from JSON text or the decoded list, and their refs.

    Args:
        parts: The list: `{"type": "image_url", "url": ..., "uuid": ...}`, uuid optional.
        limits: features_images and features_bytes, as of a features body; those of refs.
        memory: Spares reading refs again that earlier turns of a conversation carried.

    Raises:
        MMRawError: modality_unsupported (a video or audio), missing_slot, limit_exceeded,
            hash_mismatch (a ref's uuid that is not its mm_hash), what the
            schema says, and the codes of refs, with the path of the part.
    """
    given: Any = parts.to_list() if isinstance(parts, ContentParts) else parts
    document = document_of(given, limits, _WHAT)
    _check_media(document)
    check_slots(document, "$")
    check_content_parts(document, "$", limits)
    rows = cast("list[dict[str, Any]]", document)
    check_bounds([row["url"] for row in rows], limits, _WHAT)
    read = ref_reader(limits, memory)
    return ContentParts([_image(index, row, read) for index, row in enumerate(rows)])


def _check_media(document: Any) -> None:
    """Refuses parts that are videos or audio, before anything else."""
    if not isinstance(document, list):
        return
    for index, row in enumerate(cast("list[Any]", document)):
        kind = cast("dict[str, Any]", row).get("type") if isinstance(row, dict) else None
        if isinstance(kind, str) and kind in PARTS:
            raise unsupported(PARTS[kind], f"$[{index}]")


def _image(index: int, row: dict[str, Any], read: ReadRef) -> ContentImage:
    url, uuid = row["url"], row.get("uuid")
    kind, ref = read_url(url, read, f"$[{index}].url")
    if ref is not None:
        check_uuid(uuid, ref.mm_hash, f"$[{index}].uuid")
    return ContentImage(index=index, url=url, url_kind=kind, ref=ref, uuid=uuid)


def check_uuid(uuid: Any, mm_hash: str, path: str) -> None:
    """A ref's uuid is absent or its mm_hash.

    Raises:
        MMRawError: hash_mismatch.
    """
    if uuid not in (None, mm_hash):
        message = "expected the ref's mm_hash as its uuid, the key in every cache; got another"
        raise MMRawError("hash_mismatch", message, path)
