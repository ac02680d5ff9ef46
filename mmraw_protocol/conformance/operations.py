"""What this implementation answers to each operation of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from ..conversation.messages import find_images, image_source, is_image_part
from ..conversation.opening import check_source
from ..families import Adapter, get_adapter, layout_fingerprint, named_grid
from ..images import ImageSource
from ..materialize import Materializer
from ..stores import open_store
from ..stores.convert import convert_ref
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.content_parts import parse_content_parts
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.features import build_features, parse_features
from ..wire.hashes import sha256_hex
from ..wire.image_urls import ImageUrl
from ..wire.item import parse_item
from ..wire.json import to_builtins
from ..wire.mm_refs import parse_mm_refs
from ..wire.ref import (
    RawMMRef,
    check_raw_image_id,
    parse_ref,
    ref_from_fields,
    wire_of,
    write_ref,
)
from . import prompts

Input = Mapping[str, Any]
Result = dict[str, Any]


def _text(value: Input, name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise MMRawError("invalid_type", f"expected a string in {name}", f"$.{name}")
    return text


def _ref_result(ref: RawMMRef) -> Result:
    return {"dialect": ref.dialect, "fields": ref.fields()}


def _adapter(value: Input) -> Adapter:
    return get_adapter(_text(value, "family"), value.get("config"))


def _parse_ref(value: Input) -> Result:
    return _ref_result(parse_ref(_text(value, "ref")))


def _format_ref(value: Input) -> Result:
    dialect = _text(value, "dialect")
    ref = ref_from_fields(value.get("fields"), dialect)
    return {"ref": write_ref(ref, wire_of(dialect), DEFAULT_LIMITS)}


def _convert_ref(value: Input) -> Result:
    directory = value.get("directory")
    store = None if directory is None else open_store(_text(value, "directory"), create=False)
    converted = convert_ref(
        _text(value, "ref"),
        to=_text(value, "to"),
        run_id=value.get("run_id"),
        config=value.get("config"),
        store=store,
        storage=value.get("storage"),
    )
    return {"ref": converted}


def _parse_item(value: Input) -> Result:
    item = value["text"] if "text" in value else value.get("item")
    return {"item": parse_item(cast(Any, item)).to_dict()}


def _fingerprint(value: Input) -> Result:
    values = value.get("values")
    if not isinstance(values, dict):
        raise MMRawError("invalid_type", "expected an object in values", "$.values")
    parameters = cast("dict[str, Any]", values)
    family, dialect = _text(value, "family"), _text(value, "dialect")
    return {"fingerprint": layout_fingerprint(family, parameters, dialect)}


def _layout(value: Input) -> Result:
    adapter = _adapter(value)
    layout = adapter.layout(cast(int, value.get("width")), cast(int, value.get("height")))
    return {
        **named_grid(adapter.family, layout),
        "num_tokens": layout.num_tokens,
        "placeholder_length": layout.placeholder_length,
        "payload": to_builtins(layout.payload),
    }


def _describe(value: Input) -> Result:
    if "path" in value:
        source: Path | bytes = Path(_text(value, "path"))
    else:
        source = parse_data_uri(_text(value, "data_uri"), path="$.data_uri").data
    found = _adapter(value).describe(ImageSource.open(source))
    return {
        "width": found.width,
        "height": found.height,
        "format": found.format,
        "sha256": found.sha256,
        "mm_hash": found.mm_hash,
        "payload": to_builtins(found.payload),
        "placeholder_length": found.placeholder_length,
    }


def _image_part(value: Input) -> Result:
    part = value.get("part")
    return {"is_image_part": is_image_part(part), "source": image_source(part)}


def _find_images(value: Input) -> Result:
    # A row has its images beside its messages.
    found = find_images(value if "messages" not in value or len(value) > 1 else value["messages"])
    for image in found:
        check_source(image)
    return {
        "images": [
            {"path": image.path, "spelling": image.spelling, "source": image.source}
            for image in found
        ]
    }


def _parse_data_uri(value: Input) -> Result:
    found = parse_data_uri(_text(value, "data_uri"), path="$.data_uri")
    return {
        "media_type": found.media_type,
        "byte_count": len(found.data),
        "sha256": sha256_hex(found.data),
    }


def _check_raw_image_id(value: Input) -> Result:
    return {"raw_image_id": check_raw_image_id(_text(value, "raw_image_id"))}


def _offload(value: Input) -> Result:
    found = parse_data_uri(_text(value, "data_uri"), path="$.data_uri")
    name = open_store(_text(value, "directory")).put(found.data)
    return {
        "raw_image_id": name,
        "byte_count": len(found.data),
        "sha256": sha256_hex(found.data),
    }


def _build_features(value: Input) -> Result:
    body = build_features(
        cast("dict[str, Any]", value.get("mm_data")),
        _text(value, "dialect"),
        run_id=value.get("run_id"),
    )
    return {"features": body}


def _parse_features(value: Input) -> Result:
    given = value["text"] if "text" in value else value.get("features")
    found = parse_features(cast(Any, given))
    refs = {name: [_ref_result(ref) for ref in refs] for name, refs in found.refs.items()}
    return {"features": found.to_dict(), "refs": refs}


def _image_result(image: ImageUrl) -> Result:
    ref = {} if image.ref is None else {"ref": _ref_result(image.ref)}
    return {"index": image.index, "url_kind": image.url_kind, **ref}


def _parse_content_parts(value: Input) -> Result:
    given = value["text"] if "text" in value else value.get("content_parts")
    images = parse_content_parts(cast(Any, given)).images
    rows = [
        _image_result(image) | ({} if image.uuid is None else {"uuid": image.uuid})
        for image in images
    ]
    return {"images": rows}


def _parse_mm_refs(value: Input) -> Result:
    given = value["text"] if "text" in value else value.get("mm_refs")
    images = parse_mm_refs(cast(Any, given)).images
    rows = [
        {**_image_result(image), "offset": image.offset, "length": image.length} for image in images
    ]
    return {"images": rows}


def _materialize(value: Input) -> Result:
    directory = value.get("directory")
    store = None if directory is None else open_store(_text(value, "directory"), create=False)
    found = Materializer(store, cache_bytes=0).materialize(
        _text(value, "ref"),
        mm_hash=value.get("mm_hash"),
        placeholder_length=value.get("placeholder_length"),
    )
    return {
        "width": found.width,
        "height": found.height,
        "mode": "RGB",
        "rgb_sha256": found.rgb_sha256,
    }


OPERATIONS: dict[str, Callable[[Input], Result]] = {
    "parse_ref": _parse_ref,
    "format_ref": _format_ref,
    "convert_ref": _convert_ref,
    "parse_item": _parse_item,
    "fingerprint": _fingerprint,
    "layout": _layout,
    "describe": _describe,
    "image_part": _image_part,
    "find_images": _find_images,
    "parse_data_uri": _parse_data_uri,
    "check_raw_image_id": _check_raw_image_id,
    "offload": _offload,
    "build_features": _build_features,
    "parse_features": _parse_features,
    "parse_content_parts": _parse_content_parts,
    "parse_mm_refs": _parse_mm_refs,
    "materialize": _materialize,
    "expand_prompt": prompts.expand,
    "compact_prompt": prompts.compact,
}
