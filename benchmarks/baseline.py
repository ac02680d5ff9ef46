"""The same work by the standard library alone: json, re, base64, hashlib, dataclasses.

This is what a careful programmer writes in an afternoon: every field is compared with its pattern,
a payload against its shape, bytes against their hash. It is not strict beyond that: stray base64
bits, duplicate keys, 1.0 for 1, unknown fields and deep nesting pass. What the package does on top
is not asked of it, so that the comparison flatters the baseline and never the package.
"""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_.-]+")
FINGERPRINT = re.compile(r"[a-f0-9]{16,64}")
MM_HASH = re.compile(r"[a-f0-9]{16,128}")
B64U = re.compile(r"[A-Za-z0-9_-]*")
DATA_URI = re.compile(r"data:image/(png|jpeg|jpg|webp|gif);base64,(.*)", re.DOTALL)

GRID_KEYS = {"qwen_vl": "image_grid_thw", "kimi_k25": "grid_thws"}


@dataclass(frozen=True)
class Ref:
    """One ref."""

    run_id: str
    family: str
    fingerprint: str
    modality: str
    mm_hash: str
    payload: dict[str, Any]
    raw_image_id: str | None = None
    raw_uri: str | None = None


def b64u_encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64u_decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8")


def check(pattern: re.Pattern[str], value: Any, name: str) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ValueError(f"{name} is wrong")
    return value


def check_payload(payload: Any, family: str) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise ValueError("payload is no object")
    key = GRID_KEYS.get(family)
    if key is not None:
        rows = payload.get(key)
        if not isinstance(rows, list) or len(rows) != 1 or len(rows[0]) != 3:
            raise ValueError("payload holds no grid")
        if not all(isinstance(side, int) and side > 0 for side in rows[0]):
            raise ValueError("the grid is wrong")
    return payload


def check_ref(ref: Ref) -> Ref:
    check(NAME, ref.run_id, "run_id")
    check(NAME, ref.family, "family")
    check(FINGERPRINT, ref.fingerprint, "fingerprint")
    check(NAME, ref.modality, "modality")
    check(MM_HASH, ref.mm_hash, "mm_hash")
    check_payload(ref.payload, ref.family)
    if ref.raw_image_id is None and ref.raw_uri is None:
        raise ValueError("no source")
    if ref.raw_image_id is not None:
        check(NAME, ref.raw_image_id, "raw_image_id")
    return ref


def parse_v3(text: str) -> Ref:
    if not text.startswith("mmraw:v3:"):
        raise ValueError("no v3 ref")
    body = check(B64U, text[len("mmraw:v3:") :], "body")
    value = json.loads(b64u_decode(body))
    return check_ref(
        Ref(
            run_id=value["run_id"],
            family=value["family"],
            fingerprint=value["fingerprint"],
            modality=value["modality"],
            mm_hash=value["mm_hash"],
            payload=value["payload"],
            raw_image_id=value.get("raw_image_id"),
            raw_uri=value.get("raw_uri"),
        )
    )


def parse_v2(text: str) -> Ref:
    parts = text.split(":")
    if len(parts) != 9 or parts[0] != "mmraw" or parts[1] != "v2":
        raise ValueError("no v2 ref")
    payload = json.loads(b64u_decode(check(B64U, parts[8], "payload")))
    return check_ref(
        Ref(
            run_id=parts[2],
            family=parts[3],
            fingerprint=parts[4],
            modality=parts[5],
            mm_hash=parts[6],
            raw_image_id=parts[7],
            payload=payload,
        )
    )


def format_v3(ref: Ref) -> str:
    check_ref(ref)
    fields = {
        "run_id": ref.run_id,
        "family": ref.family,
        "fingerprint": ref.fingerprint,
        "modality": ref.modality,
        "mm_hash": ref.mm_hash,
        "payload": ref.payload,
    }
    if ref.raw_image_id is not None:
        fields["raw_image_id"] = ref.raw_image_id
    if ref.raw_uri is not None:
        fields["raw_uri"] = ref.raw_uri
    return "mmraw:v3:" + b64u_encode(canonical(fields))


def inline_bytes(uri: str) -> bytes:
    match = DATA_URI.fullmatch(uri)
    if match is None:
        raise ValueError("no data: image")
    return base64.b64decode(match.group(2), validate=True)


def verify(ref: Ref, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(ref.mm_hash):
        raise ValueError("other bytes than the hash names")
    return digest


def ref_of_item(item: Any, mm_hash: str, run_id: str) -> Ref:
    if not isinstance(item, dict) or item.get("kind") != "prime_raw_mm_item":
        raise ValueError("no envelope")
    if item.get("version") != 1 or item.get("modality") != "image":
        raise ValueError("another envelope")
    return Ref(
        run_id=run_id,
        family=item["family"],
        fingerprint=item["layout_fingerprint"],
        modality=item.get("vllm_modality") or item["modality"],
        mm_hash=mm_hash,
        payload=item["payload"],
        raw_image_id=item.get("raw_image_id"),
        raw_uri=item.get("raw_uri"),
    )


def build_features(mm_data: dict[str, Any], run_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"mm_hashes": {}, "mm_placeholders": {}, "kwargs_data": {}}
    spans: list[tuple[int, int]] = []
    for source, items in mm_data["mm_items"].items():
        hashes, places = mm_data["mm_hashes"][source], mm_data["mm_placeholders"][source]
        if not len(items) == len(hashes) == len(places):
            raise ValueError("lists of other lengths")
        for item, mm_hash, place in zip(items, hashes, places, strict=True):
            ref = ref_of_item(item, mm_hash, run_id)
            offset, length = place["offset"], place["length"]
            if offset < 0 or length < 1:
                raise ValueError("no placeholder")
            spans.append((offset, offset + length))
            body["kwargs_data"].setdefault(ref.modality, []).append(format_v3(ref))
            body["mm_hashes"].setdefault(ref.modality, []).append(mm_hash)
            slot = {"offset": offset, "length": length}
            body["mm_placeholders"].setdefault(ref.modality, []).append(slot)
    spans.sort()
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise ValueError("placeholders overlap")
    return body


def parse_features(text: str) -> tuple[dict[str, Any], list[Ref]]:
    body = json.loads(text)
    refs: list[Ref] = []
    for modality, texts in body["kwargs_data"].items():
        hashes, places = body["mm_hashes"][modality], body["mm_placeholders"][modality]
        if not len(texts) == len(hashes) == len(places):
            raise ValueError("lists of other lengths")
        for text_, mm_hash in zip(texts, hashes, strict=True):
            ref = parse_v3(text_)
            if ref.modality != modality or ref.mm_hash != mm_hash:
                raise ValueError("a ref that belongs elsewhere")
            refs.append(ref)
    return body, refs


def put(folder: Path, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest() + ".png"
    temporary = folder / f".{name}.{os.getpid()}.tmp"
    temporary.write_bytes(data)
    temporary.replace(folder / name)
    return name


def validate_lines(path: Path) -> tuple[int, int]:
    """(read, refused) of the refs in a file of JSON lines, one string or one object a line."""
    read = refused = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            read += 1
            try:
                parse_v3(json.loads(line)["ref"])
            except (ValueError, KeyError, TypeError):
                refused += 1
    return read, refused


def upgrade_lines(path: Path, target: Path) -> int:
    """Every v2 ref of a file of JSON lines as v3."""
    count = 0
    with path.open(encoding="utf-8") as file, target.open("w", encoding="utf-8") as out:
        for line in file:
            value = json.loads(line)
            value["ref"] = format_v3(parse_v2(value["ref"]))
            out.write(json.dumps(value) + "\n")
            count += 1
    return count
