"""One image, as every kind of document of the protocol says it: what the tests build on.

Each function gives a new value; keyword arguments replace fields, or add them.
"""

import json
from collections.abc import Iterable
from typing import Any

from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.testing import ref_text
from mmraw_protocol.wire._generated.dialects import DIALECTS, ITEMS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.base64 import decode_base64url, encode_base64, encode_base64url

RUN_ID = "exp42"
DIGEST = "67f463a70fcc80e6b6c13d2563a723f2"
NAME = f"{DIGEST[:16]}.png"
FINGERPRINT = "c2f096345b0d84e6bd2ee38b815cc329"
GRID = (1, 16, 16)
#: A label of the stored image, and a data: URL (of eight bytes that no test decodes as a picture).
LABEL = f"file:///data/run_{RUN_ID}/assets/images/{NAME}"
INLINE = "data:image/png;base64,iVBORw0KGgo="

PNG = (vectors_folder() / "images" / "rgb_101x67.png").read_bytes()
JPEG = (vectors_folder() / "images" / "rgb_320x200.jpg").read_bytes()
RGBA = (vectors_folder() / "images" / "rgba_150x90.png").read_bytes()

_URIS = {"data_url": INLINE, "file_label": LABEL}


def data_url(data: bytes, kind: str = "png") -> str:
    """An encoded image as a data: URL."""
    return f"data:image/{kind};base64,{encode_base64(data)}"


def payload(family: str = "qwen_vl") -> dict[str, Any]:
    """The payload of the image; one object for every family that is not built in."""
    info = FAMILIES.get(family)
    if info is None:
        return {"tiles": [2, 3]}
    sides = list(GRID) if "grid_thw" in info.grid else list(GRID[1:])
    return {**dict.fromkeys(info.payload.__struct_fields__, 64), info.grid_key: [sides]}


def ref_fields(dialect: str = "v3", family: str = "qwen_vl", **changes: Any) -> dict[str, Any]:
    """The fields of a ref by their wire names; it names a stored image where the dialect can."""
    wire = DIALECTS[dialect]
    values: dict[str, Any] = {
        "family": family,
        "fingerprint": FINGERPRINT,
        "mm_hash": DIGEST,
        "modality": "image",
        "payload": payload(family) if wire.family is None else [list(GRID)],
        "raw_image_id": NAME,
        "run_id": RUN_ID,
    }
    if wire.uri is not None and "raw_image_id" not in wire.attributes:
        values["raw_uri"] = _URIS[wire.uri[1]]
    fields = {name: values[attribute] for name, attribute in wire.fields if attribute in values}
    return fields | changes


def ref(dialect: str = "v3", family: str = "qwen_vl", **changes: Any) -> str:
    """The canonical text of a ref; nothing is checked, and fields that are None are left out."""
    return ref_text(ref_fields(dialect, family, **changes), dialect)


def respelled(text: str, dialect: str = "v3") -> str:
    """The same ref in another spelling of its JSON: a blank stands behind it.

    A dialect without JSON has one spelling.
    """
    wire = DIALECTS[dialect]
    if wire.encoding == "json":
        return text + " "
    if wire.encoding == "segments" and "payload" not in wire.segments:
        return text
    # The JSON is all of the text behind the prefix, or the last segment.
    head, _, last = text.rpartition(":")
    return f"{head}:{encode_base64url(decode_base64url(last) + b' ')}"


def encoded(text: str) -> str:
    """base64url of a JSON text; lone surrogates become bytes that are not UTF-8."""
    return encode_base64url(text.encode("utf-8", "surrogatepass"))


def v3_text(document: Any) -> str:
    """A document under the tag of v3, spelled as canonical JSON is."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return DIALECTS["v3"].prefix + encoded(text)


def envelope(dialect: str = "v1", family: str = "qwen_vl", **changes: Any) -> dict[str, Any]:
    """An envelope of the stored image where the dialect can, as renderers hand it on."""
    wire = ITEMS[dialect]
    values: dict[str, Any] = {
        "family": family,
        "layout_fingerprint": FINGERPRINT,
        "payload": payload(family),
        "raw_image_id": NAME,
    }
    fields = {name: values[attribute] for name, attribute in wire.fields if attribute in values}
    uris = {"raw_image_data": INLINE, "raw_image_uri": LABEL}
    fields |= {name: uris[name] for name, _ in wire.fields if name in uris}
    if family in FAMILIES and FAMILIES[family].feature_modality != "image":
        fields["vllm_modality"] = FAMILIES[family].feature_modality
    return dict(wire.constants) | fields | changes


def mm_data(items: Iterable[Any], **changes: Any) -> dict[str, Any]:
    """Images of one conversation in the form that renderers hand on, each with another hash."""
    rows = list(items)
    spans = [{"offset": 100 * number, "length": 64} for number in range(len(rows))]
    data: dict[str, Any] = {
        "mm_hashes": {"image": [f"{number:032x}" for number in range(len(rows))]},
        "mm_placeholders": {"image": spans},
        "mm_items": {"image": rows},
    }
    return data | changes


def features(*refs: str, mm_hash: str = DIGEST, modality: str = "image") -> dict[str, Any]:
    """A features body of refs that all have `mm_hash`; of one ref where none is given."""
    texts = list(refs) or [ref()]
    spans = [{"offset": 100 * number, "length": 64} for number in range(len(texts))]
    return {
        "kwargs_data": {modality: texts},
        "mm_hashes": {modality: [mm_hash] * len(texts)},
        "mm_placeholders": {modality: spans},
    }
