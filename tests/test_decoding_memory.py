"""Resident memory of the process that decodes grows by 8 bytes a pixel and 32 MiB at the most."""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from image_files import (
    interlaced_png,
    jpeg_in_separate_scans,
    picture,
    png_chunk,
    with_gif_comments,
    with_jpeg_segments,
    with_png_chunks,
)

from mmraw_protocol import Limits
from mmraw_protocol.images import decode_rgb
from mmraw_protocol.images.isolation import IsolatedDecoder
from mmraw_protocol.images.memory import fits_bound

#: A letter outside the basic plane: Python then keeps four bytes for each one.
_WIDE = b"a" * ((1 << 20) - 4) + "\U0001f600".encode()


def png_with_texts(count: int) -> bytes:
    """A PNG of some texts, each of which unpacks from a kilobyte to a megabyte."""
    text = b"\0\1\0\0\0" + zlib.compress(_WIDE, 9)
    texts = [png_chunk(b"iTXt", b"key%d" % n + text) for n in range(count)]
    return with_png_chunks(picture("RGB", (64, 64), "PNG"), *texts)


HERE: dict[str, Callable[[], bytes]] = {
    "png rgba": lambda: picture("RGBA", (4000, 2000), "PNG", compress_level=1),
    "png palette": lambda: picture("P", (4000, 2000), "PNG", transparency=77),
    "png interlaced, 16 bits": lambda: interlaced_png(4000, 2000),
    "png with some texts": lambda: png_with_texts(4),
    "gif": lambda: picture("P", (4000, 2000), "GIF", transparency=3),
    "jpeg": lambda: picture("RGB", (4000, 3000), "JPEG", subsampling=0),
    "jpeg progressive, 4:2:0": lambda: picture("RGB", (5000, 4000), "JPEG", progressive=True),
    "jpeg progressive, grey": lambda: picture("L", (5000, 4000), "JPEG", progressive=True),
    "jpeg baseline, CMYK": lambda: picture("CMYK", (4000, 3000), "JPEG"),
    "webp": lambda: picture("RGB", (2000, 1500), "WEBP", method=0),
}
ELSEWHERE: dict[str, Callable[[], bytes]] = {
    "webp lossy": lambda: picture("RGB", (3000, 2000), "WEBP", method=0),
    "webp lossless, alpha": lambda: picture(
        "RGBA", (3000, 2000), "WEBP", method=0, quality=0, lossless=True
    ),
    "webp with metadata": lambda: picture("RGB", (64, 64), "WEBP", xmp=bytes(20 << 20)),
    "jpeg progressive, 4:4:4": lambda: picture(
        "RGB", (5000, 4000), "JPEG", progressive=True, subsampling=0
    ),
    "jpeg progressive, CMYK": lambda: picture(
        "CMYK", (4000, 2500), "JPEG", progressive=True, subsampling=0
    ),
    "jpeg in separate scans": lambda: jpeg_in_separate_scans(5000, 4000),
    "jpeg with comments": lambda: with_jpeg_segments(picture("RGB", (64, 64), "JPEG"), 600),
    "png with many texts": lambda: png_with_texts(10),
    "png with a long text": lambda: with_png_chunks(
        picture("RGB", (64, 64), "PNG"), png_chunk(b"iTXt", b"k\0\0\0\0\0" + 4 * _WIDE)
    ),
    "gif with comments": lambda: with_gif_comments(picture("P", (64, 64), "GIF"), 300),
}

#: Growth by decoding and by asking for the bytes, and a digest of the pixels.
_MEASURE = """
import json, sys
from hashlib import sha256
from pathlib import Path
from mmraw_protocol.images import decode_rgb

def resident(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

Path("/proc/self/clear_refs").write_text("5")
data = Path(sys.argv[1]).read_bytes()
before = resident("VmRSS:")
image = decode_rgb(data, isolation=sys.argv[2])
digest = sha256(image.rgb).hexdigest()
growth = resident("VmHWM:") - before
print(json.dumps([growth, image.width * image.height, digest]))
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read from Linux"
)


def measured(data: bytes, folder: Path, isolation: str) -> tuple[int, int, str]:
    """Growth, pixels and digest of one decoding, in a process of its own."""
    file = folder / "image"
    file.write_bytes(data)
    command = [sys.executable, "-c", _MEASURE, str(file), isolation]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, pixels, digest = json.loads(done.stdout)
    return growth, pixels, digest


@pytest.mark.parametrize("name", HERE)
def test_memory_is_bounded_where_an_image_is_decoded_here(name: str, tmp_path: Path) -> None:
    data = HERE[name]()
    assert fits_bound(data, Limits())
    growth, pixels, _ = measured(data, tmp_path, "auto")
    assert growth <= 8 * pixels + (32 << 20)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_memory_is_bounded_where_a_decoder_takes_more(name: str, tmp_path: Path) -> None:
    data = ELSEWHERE[name]()
    growth, pixels, digest = measured(data, tmp_path, "auto")
    assert growth <= 8 * pixels + (32 << 20)
    # The same pixels, and without a process of its own it would have been too much.
    here = measured(data, tmp_path, "off")
    assert here[1:] == (pixels, digest)
    assert here[0] > 8 * pixels + (32 << 20)


def test_memory_of_a_worker_suffices_for_the_largest_image() -> None:
    limits = Limits()
    side = int(limits.image_pixels**0.5)
    data = picture("RGBA", (side, side), "WEBP", method=0, quality=0, lossless=True)
    with IsolatedDecoder(processes=1, seconds=600) as decoder:
        assert decoder.decode(data).width == side


def test_memory_is_not_asked_for_what_is_refused_anyway() -> None:
    large = ELSEWHERE["webp lossy"]()
    for limits in (Limits(image_pixels=1000), Limits(inline_image_bytes=10)):
        assert fits_bound(large, limits)
    for data in (b"", b"RIFF0000WEBP", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"):
        assert fits_bound(data, Limits())
    assert decode_rgb(picture("RGB", (5, 4), "WEBP"), isolation="off").width == 5
