"""Strategies for what every reader accepts: refs, envelopes, payloads, features, messages."""

from __future__ import annotations

import json
from typing import Any, cast

from hypothesis import strategies as st

from ..wire._generated.dialects import (
    DEFAULT_DIALECT,
    DEFAULT_ITEM,
    DIALECTS,
    ITEMS,
    WireDialect,
)
from ..wire._generated.families import FAMILIES
from ..wire._generated.strategies import build
from ..wire.base64 import encode_base64, encode_base64url
from ..wire.hashes import mm_hash_of, sha256_hex
from ..wire.json import canonical_json

Strategy = st.SearchStrategy[Any]

_NAME_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_NAME = st.text(_NAME_CHARS, min_size=1, max_size=10)
_SAFE = 2**53 - 1


def grids() -> st.SearchStrategy[list[int]]:
    """[1, h, w] on a merge raster of 2, at most 2^20 patches."""
    sides = st.integers(1, 512)
    return st.tuples(st.just(1), sides, sides).map(lambda g: [g[0], 2 * g[1], 2 * g[2]])


def json_values() -> Strategy:
    """Any JSON value that this protocol can carry."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-_SAFE, _SAFE),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(_keys(), inner, max_size=4)
        ),
        max_leaves=12,
    )


def _keys() -> st.SearchStrategy[str]:
    forbidden = ("pixel_values", "image_embeds", "image_features")
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    return text.filter(lambda key: key not in forbidden)


def _data_uris() -> st.SearchStrategy[str]:
    kinds = st.sampled_from(["png", "jpeg", "jpg", "webp", "gif"])
    data = st.binary(min_size=1, max_size=60).map(encode_base64)
    return st.builds(_data_uri, kinds, data)


def _data_uri(kind: str, text: str) -> str:
    return f"data:image/{kind};base64,{text}"


def _hex(least: int, most: int) -> st.SearchStrategy[str]:
    # One integer instead of a draw for each digit: examples are made thirty times faster.
    def digits(number: int, size: int) -> str:
        return f"{number:0{most}x}"[-size:]

    return st.builds(digits, st.integers(0, 16**most - 1), st.integers(least, most))


def _names() -> st.SearchStrategy[str]:
    digests = st.binary(min_size=8, max_size=8).map(sha256_hex)
    sizes = st.sampled_from([16, 32, 64])
    kinds = st.sampled_from(["png", "jpg", "webp", "gif", "img"])
    return st.builds(_stored_name, digests, sizes, kinds)


def _stored_name(digest: str, size: int, kind: str) -> str:
    return f"{digest[:size]}.{kind}"


def _labels() -> st.SearchStrategy[str]:
    return _names().map(lambda name: f"file:///data/outputs/run_x/assets/images/{name}")


def _run_ids() -> st.SearchStrategy[str]:
    return _NAME.filter(lambda name: name not in (".", "..") and not name.startswith("run_"))


def _other_urls() -> st.SearchStrategy[str]:
    named = _NAME.map(lambda name: f"https://example.org/{name}.png")
    return st.one_of(_data_uris(), _labels(), named, _NAME.map(lambda name: f"s3://b/{name}"))


_KNOWN = build(
    {
        "OtherFamily": _NAME.filter(lambda name: name not in FAMILIES),
        "RunId": _run_ids(),
        "Family": _NAME,
        "Fingerprint": _hex(16, 64),
        "MmHash": _hex(16, 128),
        "Modality": st.sampled_from(["image", "vision_chunk"]),
        "RawImageId": _names(),
        "RawUri": _data_uris(),
        "DataUri": _data_uris(),
        "FileUri": _labels(),
        "GridRow": grids(),
        "OpaquePayload": st.dictionaries(_keys(), json_values(), max_size=4),
        "ImageUrl": _other_urls(),
    }
)


def documents(name: str) -> Strategy:
    """Plain JSON for a definition of spec/, by its name, for example `RefV3` or `ItemV1`."""
    return _KNOWN[name]


def payloads(family: str) -> Strategy:
    """Payloads of a family; an opaque object for one that is not built in."""
    info = FAMILIES.get(family)
    return _KNOWN["OpaquePayload" if info is None else info.payload.__name__]


def ref_fields(dialect: str = DEFAULT_DIALECT) -> Strategy:
    """The fields of a ref by their wire names; null and absent are both used for absent."""
    return _KNOWN[DIALECTS[dialect].schema]


def ref_text(fields: dict[str, Any], dialect: str) -> str:
    """The canonical text of fields; absent where they are null. Nothing is checked."""
    wire = DIALECTS[dialect]
    present = {name: value for name, value in fields.items() if value is not None}
    if wire.encoding == "segments":
        parts = [_segment(present, name, wire) for name in wire.segments]
        return wire.prefix + ":".join(parts)
    text = canonical_json(present)
    return wire.prefix + (text if wire.encoding == "json" else encode_base64url(text.encode()))


def _segment(fields: dict[str, Any], name: str, wire: WireDialect) -> str:
    if name == "payload":
        return encode_base64url(canonical_json(fields[name]).encode())
    if isinstance(fields[name], list):
        return "x".join(map(str, cast("list[list[int]]", fields[name])[0]))
    return str(fields[name])


def refs(dialect: str = DEFAULT_DIALECT) -> st.SearchStrategy[str]:
    """Canonical refs of a dialect, of every family."""
    return ref_fields(dialect).map(lambda fields: ref_text(fields, dialect))


def items(dialect: str = DEFAULT_ITEM) -> Strategy:
    """Envelopes as plain JSON: version 1, or one of the two forms without version."""
    return _KNOWN[ITEMS[dialect].schema]


def images() -> st.SearchStrategy[bytes]:
    """Small PNG files of any pixels (needs the extra `vision`)."""
    import io

    from PIL import Image

    def png(width: int, height: int, seed: int) -> bytes:
        rows = sha256_hex(str(seed).encode()).encode() * (width * height * 3 // 64 + 1)
        picture = Image.frombytes("RGB", (width, height), rows[: width * height * 3])
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        return buffer.getvalue()

    sides = st.integers(1, 40)
    return st.builds(png, sides, sides, st.integers(0, 1000))


def _nested(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _flat(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


def _arrow(url: str) -> dict[str, Any]:
    return {"type": "image", "image": url, "image_url": None}


def _untyped(url: str) -> dict[str, Any]:
    return {"image": url}


def _plain(url: str) -> dict[str, Any]:
    return {"type": "image", "url": url}


_SPELLINGS = (_nested, _flat, _arrow, _untyped, _plain)


def messages() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Conversations whose user turns hold text and inline images in every accepted spelling."""
    urls = images().map(lambda data: f"data:image/png;base64,{encode_base64(data)}")
    pictures = st.one_of([urls.map(spelling) for spelling in _SPELLINGS])
    texts = st.text(max_size=10).map(lambda text: {"type": "text", "text": text})
    content = st.lists(st.one_of(texts, pictures), max_size=4)
    user = content.map(lambda parts: {"role": "user", "content": parts})
    reply = st.text(max_size=10).map(lambda text: {"role": "assistant", "content": text})
    return st.lists(st.one_of(user, reply), max_size=4)


def features(dialect: str = DEFAULT_DIALECT) -> Strategy:
    """Features bodies as plain JSON: refs that fit their hashes, ranges that do not overlap."""
    return st.lists(
        st.tuples(ref_fields(dialect), st.integers(0, 5), st.integers(1, 50)), max_size=5
    ).map(lambda rows: _body(rows, dialect))


def _body(rows: list[tuple[dict[str, Any], int, int]], dialect: str) -> dict[str, Any]:
    body: dict[str, Any] = {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}
    offset = 0
    for fields, gap, length in rows:
        modality = fields["modality"]
        offset += gap
        entry = {"length": length, "offset": offset}
        offset += length
        values = (ref_text(fields, dialect), fields["mm_hash"], entry)
        for name, value in zip(body, values, strict=True):
            body[name].setdefault(modality, []).append(value)
    return body


def _urls_and_refs() -> Strategy:
    """(URL, its mm_hash where it is a ref)."""
    fields = st.sampled_from(list(DIALECTS)).flatmap(
        lambda dialect: st.tuples(ref_fields(dialect), st.just(dialect))
    )
    refs_and_hashes = fields.map(lambda pair: (ref_text(*pair), pair[0]["mm_hash"]))
    return st.one_of(refs_and_hashes, _other_urls().map(lambda url: (url, None)))


def content_parts() -> Strategy:
    """Content parts as plain JSON: refs of all dialects and other URLs, with and without uuid."""

    def part(image: tuple[str, str | None], choice: int, other: str) -> dict[str, Any]:
        url, mm_hash = image
        beside: dict[str, Any] = [{}, {"uuid": None}, {"uuid": mm_hash or other}][choice]
        return {"type": "image_url", "url": url, **beside}

    made = st.builds(part, _urls_and_refs(), st.integers(0, 2), st.text(max_size=8))
    return st.lists(made, max_size=4)


def mm_refs() -> Strategy:
    """mm_refs in the array form: refs of all dialects and other URLs, spans in order."""

    def rows(images: list[tuple[Any, int, int]]) -> list[list[list[Any]]]:
        end = 0
        found: list[list[Any]] = []
        for (url, _), gap, length in images:
            found.append([url, end + gap, length])
            end += gap + length
        return [found]

    image = st.tuples(_urls_and_refs(), st.integers(0, 5), st.integers(1, 50))
    return st.lists(image, max_size=4).map(rows)


_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:=+/ \n\x00{}"'


def near_misses(dialect: str = DEFAULT_DIALECT) -> st.SearchStrategy[tuple[str, str]]:
    """(canonical ref, the same with one character changed, added or taken away).

    The second is refused or means something else; `refused_refs` are always refused. A blank
    between the tokens of a dialect that is JSON text means the same, and is no near miss.
    """

    def change(text: str, index: int, char: str, kind: int) -> tuple[str, str]:
        at = index % len(text)
        tail = {0: text[at + 1 :], 1: text[at:], 2: text[at + 1 :]}[kind]
        return text, text[:at] + ("" if kind == 2 else char) + tail

    pairs = st.builds(
        change, refs(dialect), st.integers(0, 2**16), st.sampled_from(_ALPHABET), st.integers(0, 2)
    )
    return pairs.filter(lambda pair: pair[0] != pair[1] and not _same_json(*pair))


def _same_json(left: str, right: str) -> bool:
    """True if both are refs of JSON text that differ in spelling alone."""
    if not (left.startswith("mmraw:{") and right.startswith("mmraw:{")):
        return False
    try:
        return json.loads(left[6:]) == json.loads(right[6:])
    except ValueError:
        return False


def hash_of(data: bytes) -> str:
    """The mm_hash that a ref over `data` carries."""
    return mm_hash_of(sha256_hex(data))


def compact(value: Any) -> str:
    """JSON text as most writers post it."""
    return json.dumps(value)
