"""The verdict on every image of a document: a ref, an envelope, features, images by their URLs."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from ..conversation.url_conversion import wire_length
from ..wire.check import key_in_path
from ..wire.content_parts import parse_content_parts
from ..wire.errors import MMRawError
from ..wire.features import Features, parse_features
from ..wire.image_urls import ImageUrl
from ..wire.item import RawMMItem, parse_item
from ..wire.mm_refs import MmRefs, PlacedImage, parse_mm_refs
from ..wire.ref import RawMMRef
from .verification import Verdict, Verifier

__all__ = ["VerifiedImage", "verify_document"]

DocumentKind = Literal["ref", "envelope", "features", "content_parts", "mm_refs"]


class VerifiedImage(NamedTuple):
    """One image of a document.

    Attributes:
        path: Of its ref, envelope or URL in the document.
        image: The ref or the envelope; None of a URL that is no ref.
        verdict: On it; faults have their paths in the document.
        span: (offset, length) of its placeholder, if the document says so.
    """

    path: str
    image: RawMMRef | RawMMItem | None
    verdict: Verdict
    span: tuple[int, int] | None = None


def verify_document(kind: DocumentKind, value: Any, verifier: Verifier) -> list[VerifiedImage]:
    """The images of a document of a known kind, decoded or as JSON text.

    Raises:
        MMRawError: what the parser of this kind raises.
    """
    limits = verifier.limits
    if kind == "ref":
        ref, verdict = verifier.verify_text(value)
        return [VerifiedImage("$", ref, verdict)]
    if kind == "envelope":
        item = parse_item(value, limits=limits)
        return [VerifiedImage("$", item, verifier.verify_item(item))]
    if kind == "features":
        return _features(parse_features(value, limits=limits), verifier)
    if kind == "content_parts":
        parts = parse_content_parts(value, limits=limits)
        return [_url(image, f"$[{image.index}].url", verifier) for image in parts.images]
    images = parse_mm_refs(value, limits=limits)
    return _mm_refs(images, verifier, is_array=not isinstance(_decoded(value), dict))


def _decoded(value: Any) -> Any:
    """An empty object for JSON text of an object."""
    head = value[:64].lstrip() if isinstance(value, (str, bytes)) else b""
    return {} if head[:1] in ("{", b"{") else value


def _features(features: Features, verifier: Verifier) -> list[VerifiedImage]:
    rows: list[VerifiedImage] = []
    for slot in features.slots():
        placeholder = slot.placeholder
        verdict = verifier.verify(
            slot.ref,
            mm_hash=slot.mm_hash,
            modality=slot.modality,
            placeholder_length=placeholder.length,
        )
        where = f"{key_in_path(slot.modality)}[{slot.index}]"
        path = f"$.kwargs_data{where}"
        verdict = _at(verdict, path, f"$.mm_placeholders{where}.length")
        span = placeholder.offset, placeholder.length
        rows.append(VerifiedImage(path, slot.ref, verdict, span))
    return rows


def _mm_refs(images: MmRefs, verifier: Verifier, *, is_array: bool) -> list[VerifiedImage]:
    rows: list[VerifiedImage] = []
    for image in images.images:
        place = f"$[0][{image.index}]" if is_array else f"$.images[{image.index}]"
        url, length = ("[0]", "[2]") if is_array else (".url", ".length")
        rows.append(_url(image, place + url, verifier, place + length))
    return rows


def _url(image: ImageUrl, path: str, verifier: Verifier, length_path: str = "$") -> VerifiedImage:
    if image.ref is None:
        return VerifiedImage(path, None, Verdict())
    span, length = None, None
    if isinstance(image, PlacedImage):
        span = image.offset, image.length
        length = wire_length(image.ref, image.length)
    verdict = verifier.verify(image.ref, placeholder_length=length)
    return VerifiedImage(path, image.ref, _at(verdict, path, length_path), span)


def _at(verdict: Verdict, path: str, length_path: str) -> Verdict:
    """The verdict with the paths that its faults have in the document."""
    faults = [
        MMRawError(fault.code, fault.message, length_path)
        if fault.code == "placeholder_mismatch"
        else fault.with_path_prefix(path)
        for fault in verdict.faults
    ]
    return msgspec.structs.replace(verdict, faults=faults)
