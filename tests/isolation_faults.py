"""Decoders that misbehave, for workers that tests start."""

import os
import signal
import time
from typing import Any

from mmraw_protocol.images.pixels import DecodedImage, decode_here


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
            return DecodedImage(width=1, height=1, format="png", rgb=b"abc")
        case b"error":
            raise KeyError("something of the decoder's own")
        case b"lie":
            return DecodedImage(width=1 << 20, height=1 << 20, format="png", rgb=b"abc")
        case b"short":
            return DecodedImage(width=9, height=9, format="png", rgb=b"abc")
        case b"pid":
            return DecodedImage(
                width=os.getpid(), height=1, format="png", rgb=bytes(3 * os.getpid())
            )
    return decode_here(data, **options)
