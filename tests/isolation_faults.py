"""Decoders that misbehave, for workers that tests start."""

import os
import signal
import time
from typing import Any

from PIL import Image

from mmraw_protocol.images.pixels import DecodedImage, decode_here, image_of_rgb


def decode(data: bytes, **options: Any) -> DecodedImage:
    """Does what the data says; a picture is decoded."""
    match data:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"exit":
            os._exit(3)
        case b"loop":
            while True:
                pass
        case b"sleep":
            time.sleep(120)
        case b"memory":
            bytearray(8 << 30)
            return image_of_rgb(1, 1, "png", b"abc")
        case b"error":
            raise KeyError("something of the decoder's own")
        case b"lie":
            return _said_to_be(1 << 20, 1 << 20)
        case b"short":
            return _said_to_be(9, 9)
        case b"pid":
            return image_of_rgb(os.getpid(), 1, "png", bytes(3 * os.getpid()))
    return decode_here(data, **options)


def _said_to_be(width: int, height: int) -> DecodedImage:
    """One pixel under a size that is not its own."""
    picture = Image.new("RGB", (1, 1))
    return DecodedImage(width=width, height=height, format="png", picture=picture)
