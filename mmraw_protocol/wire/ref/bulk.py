"""Many plain refs at once: what refs/fast.py proves of one, proved of all in a few passes.

Each pass runs over all refs in C, and what a run repeats (labels, grids) is looked at once. An
answer is for all: where one ref is not plain it is None, or False, and nobody is blamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from .._generated.limits import Limits
from .._generated.plain import MM_HASH, MODALITY, REF_V3_FAMILIES, PlainRefV3
from .._generated.types import KimiK25Payload, QwenVlPayload
from .._generated.wire import PAYLOADS
from ..base64 import LAST, PADDING, attempt_all, encode_plain
from ..grids import Grid, are_plain_grids
from . import fast
from .model import RawMMRef

#: Longer refs are not plain.
_MOST_CHARS = 4096
_V2 = "mmraw:v2:"
_V2_COLONS = ":" * 8

_decode_all = msgspec.json.Decoder(PlainRefV3).decode_lines
_encode_all = msgspec.json.Encoder().encode_lines
_payload_decoders = {name: msgspec.json.Decoder(kind) for name, kind in PAYLOADS.items()}
_labels = attrgetter("run_id", "fingerprint", "modality")
_Refusal = (msgspec.MsgspecError, UnicodeError, RecursionError)


def are_plain(texts: Sequence[str], limits: Limits) -> bool:
    """Whether all are plain refs of v3 with stored images, or all of v2: `parse_ref` takes each."""
    if _all_begin(texts, fast.V3):
        return _read_v3(texts, limits) is not None
    return read_v2(texts, limits) is not None


def to_v3(texts: Sequence[str], limits: Limits) -> list[str] | None:
    """The same refs in canonical v3, where all are plain as `are_plain` says."""
    if not _all_begin(texts, fast.V3):
        refs = read_v2(texts, limits)
        if refs is None:
            return None
        documents = _encode_all(refs).splitlines()
        return [fast.V3 + encode_plain(document) for document in documents]
    read = _read_v3(texts, limits)
    if read is None:
        return None
    # Keys in another order are plain, too, but not what a writer writes.
    values, documents = read
    return list(texts) if _encode_all(values) == documents + b"\n" else None


def _all_begin(texts: Sequence[str], beginning: str) -> bool:
    size = len(beginning)
    return {text[:size] for text in texts} == {beginning}


def _documents(bodies: Sequence[str]) -> list[bytes] | None:
    """What canonical, unpadded base64 stands for; `-` and `_` do not occur where JSON is plain."""
    sizes = [*map(len, bodies)]
    documents = attempt_all(
        [
            body if not size & 3 else body + PADDING[size & 3]
            for body, size in zip(bodies, sizes, strict=True)
        ]
    )
    if documents is None or not min(sizes):
        return None
    if [body for body in bodies if body[-1] not in LAST[len(body) & 3]]:
        return None
    # Each makes its share or less, so that all make theirs together where each does.
    whole = sum(map(len, documents)) == sum([size * 3 // 4 for size in sizes])
    return documents if whole else None


def _read_v3(texts: Sequence[str], limits: Limits) -> tuple[list[Any], bytes] | None:
    """The values, and the documents that they were read from."""
    if max(map(len, texts)) > _MOST_CHARS:
        return None
    start = len(fast.V3)
    documents = _documents([text[start:] for text in texts])
    if documents is None:
        return None
    joined = b"\n".join(documents)
    # A document that holds a newline makes more skeletons than there are documents.
    skeletons = joined.translate(None, MODALITY.allowed).split(b"\n")
    if len(skeletons) != len(texts) or not _stored_skeletons().issuperset(skeletons):
        return None
    try:
        values = _decode_all(joined)
    except _Refusal:
        return None
    if len(values) != len(texts) or [one for one in values if one.raw_uri is not None]:
        return None
    families = [REF_V3_FAMILIES[kind] for kind in {*map(type, values)}]
    labels = [(*row, family) for row in {*map(_labels, values)} for family in families]
    names = [value.raw_image_id for value in values]
    hashes = [value.mm_hash for value in values]
    payloads = [value.payload for value in values]
    return (values, joined) if _hold(labels, hashes, names, payloads, limits) else None


@cache
def _stored_skeletons() -> frozenset[bytes]:
    """Those of objects with one source; the label of an unstored image has other characters."""
    return frozenset(text for text, sources in fast.skeletons().items() if sources == 1)


def _hold(
    labels: Iterable[tuple[str, str, str, str]],
    hashes: Sequence[str],
    names: Sequence[Any],
    payloads: Iterable[Any],
    limits: Limits,
) -> bool:
    """What is left to prove of texts that hold plain characters alone."""
    lengths = {*map(len, hashes)}
    try:
        # Five letters or digits: longer than any device's name, and no dash in front.
        odd = [name for name in names if not (name[:5].isalnum() and "." in name[5:-1])]
        if odd or max(map(len, names)) > limits.raw_image_id_bytes:
            return False
    except TypeError:  # None: an image that is not stored
        return False
    return (
        MM_HASH.least <= min(lengths)
        and max(lengths) <= MM_HASH.most
        and not "".join(hashes).encode().translate(None, MM_HASH.allowed)
        and not [name for name in names if name[-1] == "."]
        and all(fast.are_plain_labels(*row, limits) for row in labels)
        and are_plain_grids([_grid(payload) for payload in payloads], limits)
    )


def _grid(payload: QwenVlPayload | KimiK25Payload) -> Grid:
    return (payload.image_grid_thw if isinstance(payload, QwenVlPayload) else payload.grid_thws)[0]


def read_v2(texts: Sequence[str], limits: Limits) -> list[RawMMRef] | None:
    """The refs, where all are plain ones of v2."""
    if max(map(len, texts)) > min(limits.v2_ref_chars, _MOST_CHARS) or not _all_begin(texts, _V2):
        return None
    joined = "\n".join(texts)
    if not joined.isascii():
        return None
    colons = joined.encode("ascii").translate(None, MODALITY.allowed)
    if colons != "\n".join([_V2_COLONS] * len(texts)).encode("ascii"):
        return None
    rows = [text.split(":") for text in texts]
    payloads = _payloads({(row[3], row[8]) for row in rows}, limits)
    if payloads is None:
        return None
    refs = [
        RawMMRef(
            family=family,
            fingerprint=fingerprint,
            mm_hash=mm_hash,
            modality=modality,
            payload=payloads[family, body],
            raw_image_id=name,
            run_id=run_id,
        )
        for _, _, run_id, family, fingerprint, modality, mm_hash, name, body in rows
    ]
    labels = {(row[2], row[4], row[5], row[3]) for row in rows}
    names, hashes = [row[7] for row in rows], [row[6] for row in rows]
    return refs if _hold(labels, hashes, names, payloads.values(), limits) else None


def _payloads(wanted: set[tuple[str, str]], limits: Limits) -> dict[tuple[str, str], Any] | None:
    """The payload of each family and text, where all are canonical."""
    result: dict[tuple[str, str], Any] = {}
    for family, decoder in _payload_decoders.items():
        bodies = [body for name, body in wanted if name == family]
        if not bodies:
            continue
        documents = _documents(bodies)
        if documents is None or max(map(len, documents)) > limits.payload_bytes:
            return None
        joined = b"\n".join(documents)
        try:
            values = decoder.decode_lines(joined)
        except _Refusal:
            return None
        if len(values) != len(bodies) or _encode_all(values) != joined + b"\n":
            return None
        result.update(((family, body), value) for body, value in zip(bodies, values, strict=True))
    return result if len(result) == len(wanted) else None
