"""Material of measurements: refs, images and features of usual sizes, made up but well-formed."""

from __future__ import annotations

import base64
import hashlib
import random
from typing import Any

import msgspec

from mmraw_protocol import KimiK25Payload, QwenVlPayload, RawMMRef, format_ref

RUN = "qwen3-vl-exp42"
FINGERPRINTS = {
    "qwen_vl": "c2f096345b0d84e6bd2ee38b815cc329",
    "kimi_k25": "a05685ad7bfa971ee9967c50c722b892",
}


def grid(number: int) -> tuple[int, int, int]:
    """Grids that differ from image to image."""
    return 1, 2 * (8 + number % 40), 2 * (8 + number * 7 % 48)


def stored_ref(number: int, family: str = "qwen_vl", digits: int = 32) -> RawMMRef:
    """The ref of a stored image; its name has as many digits as asked for."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    t, h, w = grid(number)
    qwen = family == "qwen_vl"
    return RawMMRef(
        family=family,
        fingerprint=FINGERPRINTS[family],
        mm_hash=digest[:32],
        modality="image" if qwen else "vision_chunk",
        payload=QwenVlPayload(image_grid_thw=((t, h, w),))
        if qwen
        else KimiK25Payload(grid_thws=((t, h, w),), num_media_tokens=h * w // 4),
        raw_image_id=f"{digest[:digits]}.jpg",
        run_id=RUN,
    )


def labelled(ref: RawMMRef) -> str:
    """The text of a stored image's ref with a file: label."""
    label = f"file:///data/outputs/run_{RUN}/assets/images/{ref.raw_image_id}"
    return format_ref(msgspec.structs.replace(ref, raw_uri=label))


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same in every run."""
    return random.Random(size).randbytes(size)


def inline_ref(data: bytes) -> RawMMRef:
    """The ref that carries `data`."""
    ref = stored_ref(len(data))
    return RawMMRef(
        family=ref.family,
        fingerprint=ref.fingerprint,
        mm_hash=hashlib.sha256(data).hexdigest()[:32],
        modality=ref.modality,
        payload=ref.payload,
        raw_uri="data:image/jpeg;base64," + base64.b64encode(data).decode(),
        run_id=RUN,
    )


def items(count: int) -> dict[str, Any]:
    """mm_data as plain JSON: that many stored images of one conversation."""
    refs = [stored_ref(number) for number in range(count)]
    envelopes = [
        {
            "_prime_rl_image_ref": "raw_image",
            "family": ref.family,
            "kind": "prime_raw_mm_item",
            "layout_fingerprint": ref.fingerprint,
            "modality": "image",
            "payload": {"image_grid_thw": [list(grid(number))]},
            "raw_image_id": ref.raw_image_id,
            "version": 1,
        }
        for number, ref in enumerate(refs)
    ]
    return {
        "mm_hashes": {"image": [ref.mm_hash for ref in refs]},
        "mm_placeholders": {
            "image": [{"offset": 1000 * n + 4, "length": 600} for n in range(count)]
        },
        "mm_items": {"image": envelopes},
    }


def texts(count: int, dialect: str = "v3") -> list[str]:
    """Makes this many refs."""
    return [format_ref(stored_ref(number), dialect) for number in range(count)]
