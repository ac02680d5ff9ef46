"""The smart resize that several families share: the grid nearest to an image, within bounds.

The order of the float operations is that of the image processors of transformers 5.24: rounding
decides rows.
"""

from __future__ import annotations

import math

from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError


def smart_grid(
    width: int,
    height: int,
    patch_size: int,
    merge_size: int,
    fewest: int,
    most: int,
    frames: int = 1,
) -> tuple[int, int]:
    """(h, w) in patches; pixels in. The sides must be positive.

    `fewest` and `most` bound the pixels of the resized image, counted in each of `frames`.
    """
    factor = patch_size * merge_size
    high = round(height / factor) * factor
    wide = round(width / factor) * factor
    if frames * high * wide > most:
        beta = math.sqrt((frames * height * width) / most)
        high = max(factor, math.floor(height / beta / factor) * factor)
        wide = max(factor, math.floor(width / beta / factor) * factor)
    elif frames * high * wide < fewest:
        beta = math.sqrt(fewest / (frames * height * width))
        high = math.ceil(height * beta / factor) * factor
        wide = math.ceil(width * beta / factor) * factor
    return high // patch_size, wide // patch_size


def check_aspect(width: int, height: int, limits: Limits) -> None:
    """Refuses an image that is too long.

    Raises:
        MMRawError: aspect_ratio.
    """
    aspect = width / height if width > height else height / width
    if aspect > limits.image_aspect:
        message = f"expected at most {limits.image_aspect} to 1, got {width} x {height} pixels"
        raise MMRawError("aspect_ratio", message)
