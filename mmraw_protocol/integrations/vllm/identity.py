"""What vLLM files a picture under.

Source: vllm/multimodal/hasher.py of vLLM 0.32. A UUID at the EXIF tag ImageID is an image's
identity, and no pixels are hashed.
"""

from __future__ import annotations

import uuid
from typing import Any

_IMAGE_ID = 0x800D


def set_identity(image: Any, identity: uuid.UUID) -> None:
    """Has vLLM file a PIL image under `identity`."""
    image.getexif()[_IMAGE_ID] = identity


def identity_of(image: Any) -> uuid.UUID:
    """The identity of an image that has one."""
    return image.getexif()[_IMAGE_ID]
