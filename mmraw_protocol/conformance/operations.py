"""The operations of the conformance protocol, answered by this package's public functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from types import UnionType
from typing import Any, NewType, get_args, get_origin

import msgspec

import mmraw_protocol as mm

from ..conversation.messages import find_images, image_source, is_image_part
from ..conversation.opening import check_source
from ..families import layout_fingerprint, named_grid
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import ref_from_fields, wire_of, write_ref

Result = dict[str, Any]
Text = str | None
TokenId = NewType("TokenId", int)
TokenIds = list[TokenId]


class Operations:
    """Each method is an operation, its parameters are the members of the input."""

    def parse_ref(self, ref: str) -> Result:
        return _ref_result(mm.parse_ref(ref))

    def format_ref(self, dialect: str, fields: Any) -> Result:
        ref = ref_from_fields(fields, dialect)
        return {"ref": write_ref(ref, wire_of(dialect), DEFAULT_LIMITS)}

    def convert_ref(
        self, directory: Text, ref: str, to: str, run_id: Any, config: Any, storage: Any
    ) -> Result:
        store = None if directory is None else mm.open_store(directory, create=False)
        return {"ref": mm.convert_ref(ref, to, run_id, config, store, storage=storage)}

    def parse_item(self, text: Any, item: Any) -> Result:
        return {"item": mm.parse_item(item if text is None else text).to_dict()}

    def fingerprint(self, values: dict[str, Any], family: str, dialect: str) -> Result:
        return {"fingerprint": layout_fingerprint(family, values, dialect)}

    def layout(self, family: str, config: Any, width: Any, height: Any) -> Result:
        adapter = mm.get_adapter(family, config)
        found = adapter.layout(width, height)
        members = _members(found, "num_tokens placeholder_length payload")
        return named_grid(adapter.family, found) | members

    def describe(self, path: Text, data_uri: Text, family: str, config: Any) -> Result:
        source = _data_of(data_uri) if path is None else Path(path)
        found = mm.get_adapter(family, config).describe(mm.ImageSource.open(source))
        return _members(found, "width height format sha256 mm_hash payload placeholder_length")

    def image_part(self, part: Any) -> Result:
        return {"is_image_part": is_image_part(part), "source": image_source(part)}

    def find_images(self, /, **row: Any) -> Result:
        # A row has its images beside its messages.
        found = find_images(row["messages"] if row.keys() == {"messages"} else row)
        for image in found:
            check_source(image)
        return {"images": [_members(image, "path spelling source") for image in found]}

    def parse_data_uri(self, data_uri: str) -> Result:
        media_type = parse_data_uri(data_uri, path="$.data_uri").media_type
        return {"media_type": media_type} | _sums(_data_of(data_uri))

    def check_raw_image_id(self, raw_image_id: str) -> Result:
        return {"raw_image_id": mm.check_raw_image_id(raw_image_id)}

    def offload(self, data_uri: str, directory: str) -> Result:
        data = _data_of(data_uri)
        return {"raw_image_id": mm.open_store(directory).put(data)} | _sums(data)

    def build_features(self, dialect: str, mm_data: Any, run_id: Any) -> Result:
        return {"features": mm.build_features(mm_data, dialect, run_id=run_id)}

    def parse_features(self, text: Any, features: Any) -> Result:
        found = mm.parse_features(features if text is None else text)
        refs = {name: [_ref_result(ref) for ref in refs] for name, refs in found.refs.items()}
        return {"features": found.to_dict(), "refs": refs}

    def parse_content_parts(self, text: Any, content_parts: Any) -> Result:
        images = mm.parse_content_parts(content_parts if text is None else text).images
        return {"images": [_image_result(image, "index url_kind uuid") for image in images]}

    def parse_mm_refs(self, text: Any, mm_refs: Any) -> Result:
        images = mm.parse_mm_refs(mm_refs if text is None else text).images
        names = "index url_kind offset length"
        return {"images": [_image_result(image, names) for image in images]}

    def materialize(
        self, directory: Text, ref: str, mm_hash: Any, placeholder_length: Any
    ) -> Result:
        store = None if directory is None else mm.open_store(directory, create=False)
        maker = mm.Materializer(store, cache_bytes=0)
        found = maker.materialize(ref, mm_hash=mm_hash, placeholder_length=placeholder_length)
        return {"mode": "RGB"} | _members(found, "width height rgb_sha256")

    def expand_prompt(self, /, token_ids: TokenIds, refs: list[str], **more: Any) -> Result:
        found = mm.expand_prompt(token_ids, refs, **_call(_prompt_options, more))
        return _members(found, "token_ids placeholders")

    def compact_prompt(
        self, /, token_ids: TokenIds, refs: list[str] | None, placeholders: list[Any], **more: Any
    ) -> Result:
        options = _call(_prompt_options, more)
        found = mm.compact_prompt(token_ids, placeholders, refs=refs, **options)
        return _members(found, "token_ids placeholders")


def _prompt_options(
    vocabulary: dict[str, TokenId] | None, form: Text, engine: Text, family: str, config: Any
) -> dict[str, Any]:
    adapter = mm.get_adapter(family, config)
    return _given(adapter=adapter, vocabulary=vocabulary, form=form, engine=engine)


def _ref_result(ref: mm.RawMMRef) -> Result:
    return {"dialect": ref.dialect, "fields": ref.fields()}


def _image_result(image: Any, names: str) -> Result:
    ref = None if image.ref is None else _ref_result(image.ref)
    return _given(ref=ref, **_members(image, names))


def _data_of(data_uri: Any) -> bytes:
    return parse_data_uri(data_uri, path="$.data_uri").data


def _sums(data: bytes) -> Result:
    return {"byte_count": len(data), "sha256": sha256_hex(data)}


def _members(found: Any, names: str) -> Result:
    return {name: msgspec.to_builtins(getattr(found, name)) for name in names.split()}


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _call(function: Callable[..., Result], given: dict[str, Any]) -> Result:
    """Calls `function`, whose annotations say what the members must be.

    A member may be absent if its annotation allows None. `**` takes all that have no parameter.
    """
    parameters = signature(function, eval_str=True).parameters
    kinds = {name: p.annotation for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    read = {name: _read(given.get(name), kind, f"$.{name}") for name, kind in kinds.items()}
    return function(**(given if len(kinds) < len(parameters) else {}) | read)


def _read(value: Any, kind: Any, path: str) -> Any:
    if isinstance(kind, UnionType):
        return None if value is None else _read(value, get_args(kind)[0], path)
    wanted = int if kind is TokenId else get_origin(kind) or kind
    if kind is not Any and type(value) is not wanted:
        raise MMRawError("invalid_type", f"expected {_KINDS[wanted]}", path)
    if kind is TokenId and not 0 <= value <= 2**53 - 1:
        message = "expected a token id from 0 to 2^53 - 1, got another integer"
        raise MMRawError("invalid_value", message, path)
    if wanted is list:
        return [_read(v, get_args(kind)[0], f"{path}[{i}]") for i, v in enumerate(value)]
    if wanted is dict:
        return {name: _read(v, get_args(kind)[1], path) for name, v in value.items()}
    return value


_KINDS: dict[Any, str] = {str: "a string", int: "an integer", list: "a list", dict: "an object"}
OPERATIONS = {
    name: partial(_call, getattr(Operations(), name)) for name in vars(Operations) if name[0] != "_"
}
