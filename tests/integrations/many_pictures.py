"""Real pictures: the files of the repository, and crops and reductions of them."""

from __future__ import annotations

import functools
import io
import random
from pathlib import Path
from typing import Any

from conftest import Picture
from PIL import Image

from mmraw_protocol import MMRawError, get_adapter
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.conversation.messages import pack_images

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "images"
#: Bounds the time of a processor.
MOST_PIXELS = 160_000


def vector_pictures() -> list[Picture]:
    """The files of spec/vectors/images that hold one whole picture."""
    found = []
    for path in sorted((vectors_folder() / "images").iterdir()):
        data = path.read_bytes()
        message = [{"role": "user", "content": [{"type": "image", "image": data}]}]
        try:
            (packed,) = pack_images(message, get_adapter("qwen_vl"), storage="inline", alpha="drop")
            Image.open(io.BytesIO(data)).convert("RGB")
        except (MMRawError, OSError):
            continue
        if packed.description.width * packed.description.height < 3_000_000:
            found.append(Picture(path.name, data, path))
    return found


@functools.cache
def forty_pictures() -> tuple[Picture, ...]:
    """The small files of the vectors, and parts of the examples, of many shapes."""
    found = [p for p in vector_pictures() if p.open().width * p.open().height <= MOST_PIXELS]
    originals = sorted(EXAMPLES.iterdir())
    rng = random.Random(40)
    while len(found) < 40:
        path = originals[len(found) % len(originals)]
        image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
        image = image.crop(_box(*image.size, rng))
        image.thumbnail((rng.randint(40, 500),) * 2)
        buffer = io.BytesIO()
        image.save(buffer, format=rng.choice(("PNG", "JPEG")))
        found.append(Picture(f"{path.stem}_{len(found)}", buffer.getvalue(), path))
    return tuple(found)


def _box(width: int, height: int, rng: random.Random) -> tuple[int, int, int, int]:
    """A part of a picture, at least a tenth of each side long."""
    wide, high = (rng.randint(side // 10, side) for side in (width, height))
    left, top = rng.randint(0, width - wide), rng.randint(0, height - high)
    return left, top, left + wide, top + high


def conversation(pictures: list[Picture]) -> list[dict[str, Any]]:
    """One message that holds the pictures' bytes."""
    content = [{"type": "image", "image": picture.data} for picture in pictures]
    return [{"role": "user", "content": content}]
