"""Decides where an image is decoded: in this process, or in one of its own.

It is decided here and nowhere else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from .faults import guarded
from .memory import fits_bound
from .pixels import DecodedImage, Frames, decode_here

if TYPE_CHECKING:
    from .isolation import IsolatedDecoder

#: The images that are decoded in processes of their own: those that would take more memory here
#: than is promised, all, or none.
Isolation = Literal["auto", "process", "off"]


def decode_rgb(
    data: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    frames: Frames = "single",
    isolation: Isolation = "auto",
    path: str = "$",
) -> DecodedImage:
    """The pixels as Pillow's `convert("RGB")` gives them: EXIF not applied, alpha dropped.

    Resident memory of this process grows by at most 8 bytes a pixel and 32 MiB. What Pillow's
    decoder would take more for is decoded in a worker process, with the same pixels and refusals:
    WebP from 3.6 megapixels, progressive JPEG with full colour resolution from 14 (CMYK: 7), files
    with megabytes of metadata. The workers start when they are first needed, serve this whole
    process and end with it; a fork starts its own.

    Args:
        data: The encoded image.
        limits: Bytes, parts, scans, pixels and sides, checked before decoding.
        frames: `single` refuses animations, `first` takes their first frame.
        isolation: `process` decodes every image in the workers; `off` decodes here, however much
            memory it takes, for where no process can be started.
        path: For errors.

    Raises:
        MMRawError: empty_source, unsupported_format, image_undecodable, limit_exceeded,
            multiple_frames, decoder_unavailable; from workers also decode_timeout.
    """
    if isolation not in ("auto", "process", "off"):
        message = "expected isolation='auto', 'process' or 'off', got another value"
        raise MMRawError("unsupported_option", message)

    def decode() -> DecodedImage:
        if isolation == "off" or (isolation == "auto" and fits_bound(data, limits)):
            return decode_here(data, limits=limits, frames=frames, path=path)
        # Nobody whose images are small loads what starts processes.
        from .isolation import SHARED

        return SHARED.decode(data, limits=limits, frames=frames, path=path)

    return guarded(decode, path)


@functools.cache
def _workers_for(decoder: str) -> IsolatedDecoder:
    """The worker of another decoder, shared by this process."""
    from .isolation import IsolatedDecoder

    return IsolatedDecoder(processes=1, seconds=60.0, decoder=decoder)


def decode_elsewhere(
    decoder: Callable[..., DecodedImage],
    data: bytes,
    *,
    limits: Limits,
    frames: Frames,
    path: str,
) -> DecodedImage:
    """Decodes as another function like `decode_here`, in this process or in a worker.

    Raises:
        MMRawError: what `decode_rgb` raises.
    """

    def decode() -> DecodedImage:
        if fits_bound(data, limits):
            return decoder(data, limits=limits, frames=frames, path=path)
        name = f"{decoder.__module__}:{decoder.__name__}"
        return _workers_for(name).decode(data, limits=limits, frames=frames, path=path)

    return guarded(decode, path)
