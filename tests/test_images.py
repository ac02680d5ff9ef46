"""Images: sources, headers, decoding."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from refusals import refused_code

from mmraw_protocol import Limits, MMRawError
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.images import ImageSource, decode_rgb, read_header
from mmraw_protocol.images.jpeg_header import jpeg_header
from mmraw_protocol.wire.base64 import encode_base64
from mmraw_protocol.wire.hashes import sha256_hex

IMAGES = vectors_folder() / "images"
BAD_IMAGES = vectors_folder() / "bad_images"

#: Decoded by Pillow without complaint and caught by no limit: only the sha256 in a ref guards them.
PASSED = {"dim_lie_smaller.png", "poly_gif_js.gif"}
GOOD = {"mpo.jpg", "bitflip.jpg", "idx_out_of_plte.png", "poly_png_zip.png", "poly_jpg_html.jpg"}

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")


def picture(mode: str = "RGB", size: tuple[int, int] = (5, 4), kind: str = "PNG") -> bytes:
    """A small encoded image."""
    buffer = io.BytesIO()
    Image.new(mode, size, 77 if mode in ("L", "1", "P") else None or 0).save(buffer, kind)
    return buffer.getvalue()


def test_one_image_from_every_kind_of_source(tmp_path: Path) -> None:
    data = picture()
    file = tmp_path / "a picture.png"
    file.write_bytes(data)
    inline = f"data:image/png;base64,{encode_base64(data)}"
    sources = [data, bytearray(data), file, str(file), file.as_uri(), inline]
    local = file.as_uri().replace("file://", "file://localhost")
    for source in [*sources, local, ImageSource(data)]:
        image = ImageSource.open(source)
        assert image.sha256 == sha256_hex(data)
        assert image.mm_hash == image.sha256[:32]
        assert (image.header.width, image.header.height, image.header.format) == (5, 4, "png")


def test_a_decoded_picture_is_encoded_from_its_pixels() -> None:
    original = Image.open(IMAGES / "rgb_320x200.jpg")
    first, second = ImageSource.open(original), ImageSource.open(original.copy())
    assert first.kind == "pil"
    assert first.data == second.data
    assert decode_rgb(first.data).rgb == original.convert("RGB").tobytes()


def test_a_picture_that_does_not_load_is_one_error() -> None:
    cut = Image.open(io.BytesIO((IMAGES / "rgb_320x200.jpg").read_bytes()[:2000]))
    assert refused_code(ImageSource.open, cut) == "image_undecodable"


def test_limits_of_a_second_reader_hold_for_an_open_source() -> None:
    source = ImageSource.open(memoryview(picture()))
    assert refused_code(ImageSource.open, source, limits=Limits(inline_image_bytes=10)) == (
        "limit_exceeded"
    )


@pytest.mark.parametrize(
    "source",
    [
        "https://example.invalid/a.png",
        "http://127.0.0.1:1/a.png",
        "ftp://example.invalid/a.png",
        "s3://bucket/a.png",
        "file://otherhost/a.png",
        "file:///a.png?x=1",
        "file:///a.png#y",
        "file:///a%00b.png",
        "file:relative.png",
        "file:///a%2",
        "file:///a\nb.png",
        "gopher:a.png",
        7,
        None,
        object(),
    ],
)
def test_other_sources_are_refused_and_never_fetched(source: Any) -> None:
    assert refused_code(ImageSource.open, source) == "source_unsupported"


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    for name in ("fifo.png", "missing.png", "."):
        assert refused_code(ImageSource.open, tmp_path / name) == "source_unavailable"


def test_bytes_are_counted_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture())
    assert (
        refused_code(ImageSource.open, file, limits=Limits(inline_image_bytes=10))
        == "limit_exceeded"
    )
    assert refused_code(ImageSource.open, b"") == "empty_source"
    (tmp_path / "empty").write_bytes(b"")
    assert refused_code(ImageSource.open, tmp_path / "empty") == "empty_source"


@pytest.mark.parametrize("name", sorted(p.name for p in BAD_IMAGES.iterdir()))
def test_hostile_files_get_their_verdict(name: str) -> None:
    data = (BAD_IMAGES / name).read_bytes()
    if (
        name.startswith("ok")
        and not name.endswith((".bmp", ".ico", ".tiff", ".jp2", ".icns", ".sgi", ".msp", ".avif"))
    ) or name in PASSED | GOOD | {"jpg_as.png"}:
        decode_rgb(data)
    else:
        codes = ("image_undecodable", "unsupported_format", "limit_exceeded", "multiple_frames")
        assert refused_code(decode_rgb, data) in codes


@pytest.mark.parametrize("name", sorted(p.name for p in IMAGES.iterdir()))
def test_pixels_are_those_of_pillow(name: str) -> None:
    data = (IMAGES / name).read_bytes()
    if name.startswith(("truncated", "empty", "apng")):
        refused_code(decode_rgb, data)
        return
    found = decode_rgb(data)
    image = Image.open(io.BytesIO(data))
    assert (found.width, found.height) == image.size
    image.info.pop("transparency", None)
    assert found.rgb == image.convert("RGB").tobytes()


@pytest.mark.parametrize("isolation", ["off", "process"])
def test_each_picture_is_its_caller_s_own(isolation: Any) -> None:
    found = decode_rgb(samples.JPEG, isolation=isolation)
    pixels = found.rgb
    assert isinstance(found.image, Image.Image)
    assert (found.image.mode, found.image.tobytes()) == ("RGB", pixels)
    found.image.paste(0, (0, 0, found.width, found.height))
    assert found.rgb == pixels


def test_the_first_frame_of_an_animation_only_on_request() -> None:
    data = (IMAGES / "apng_96x80.png").read_bytes()
    assert read_header(data).frames == 2
    assert refused_code(decode_rgb, data) == "multiple_frames"
    assert decode_rgb(data, frames="first").width == 96


def test_limits_are_held_against_the_header() -> None:
    data = picture(size=(50, 40))
    assert refused_code(read_header, data, limits=Limits(image_side=49)) == "limit_exceeded"
    assert refused_code(read_header, data, limits=Limits(image_pixels=1999)) == "limit_exceeded"
    assert read_header(data, limits=Limits(image_side=50, image_pixels=2000)).width == 50


def test_a_frame_that_is_cut_off_is_refused_before_its_size_is_believed() -> None:
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 9000, 10000)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        code = refused_code(read_header, b"GIF89a\x14\x00\x0a\x00\x00\x00\x00" + frame)
    assert (code, raised) == ("image_undecodable", [])


def test_warnings_as_errors_do_not_change_a_verdict() -> None:
    program = (
        "import sys; from pathlib import Path; from mmraw_protocol import MMRawError\n"
        "from mmraw_protocol.images import decode_rgb\n"
        "for name in sys.argv[2:]:\n"
        "    try: decode_rgb((Path(sys.argv[1]) / name).read_bytes()); print('ok')\n"
        "    except MMRawError as error: print(error.code)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(BAD_IMAGES)]
    names = ["bomb_rgb_13000.png", "ok_pal_trns_bytes.png"]
    done = subprocess.run([*command, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["limit_exceeded", "ok"]


@settings(max_examples=300)
@given(
    name=st.sampled_from(["rgb_320x200.jpg", "palette_150x90.png", "rgb_250x130.webp"]),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 3000)),
)
def test_damaged_files_raise_the_one_error_alone(
    name: str, edits: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray((IMAGES / name).read_bytes())
    for at, value in edits:
        data[at % len(data)] = value
    with contextlib.suppress(MMRawError):
        decode_rgb(bytes(data[:cut]))


def segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + (len(body) + 2).to_bytes(2, "big") + body


#: Segments before the first scan of some file, well or ill formed.
segments = st.one_of(
    st.builds(
        segment,
        st.sampled_from([0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC8, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED,
                         0xEE, 0xF0, 0xFE]),
        st.one_of(
            st.sampled_from([b"JFIF\x00\x01", b"JFIF\x00\x01\x02", b"Exif\x00\x00MM", b"Adobe\x00",
                             b"ICC_PROFILE\x00\x01", b"ICC_PROFILE\x00\x01\x01abc", b"MPF\x00",
                             b"Photoshop 3.0\x00", b"Photoshop 3.0\x008BIM", bytes(65),
                             bytes([16]) + bytes(128), bytes(66), bytes(130), b""]),
            st.sampled_from([1, 2, 3, 4]).map(
                lambda n: bytes([8, 0, 4, 0, 5, n]) + b"".join(bytes([i, 17, 0]) for i in range(n))
            ),
            st.binary(max_size=12),
        ),
    ),
    st.sampled_from([b"\xff", b"\x00", b"\xff\xd8", b"\xff\x01", segment(0xDB, bytes(65))]),
)  # fmt: skip
jpegs = st.one_of(
    st.builds(
        lambda head, tail: b"\xff\xd8" + b"".join(head) + tail,
        st.lists(segments, max_size=6),
        st.sampled_from(
            [segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x00\xff\xd9", b"", b"\xff"]
        ),
    ),
    st.builds(
        lambda data, at, value: data[:at] + bytes([value]) + data[at + 1 :],
        st.sampled_from(
            [picture(kind="JPEG"), picture("L", kind="JPEG"), picture("CMYK", kind="JPEG")]
        ),
        st.integers(2, 300),
        st.integers(0, 255),
    ),
)


@settings(max_examples=300)
@given(jpegs, st.sampled_from([Limits(), Limits(image_parts=3), Limits(image_side=4)]))
def test_a_jpeg_has_the_same_header_with_its_decoder_and_without(
    data: bytes, limits: Limits
) -> None:
    def header() -> Any:
        try:
            return read_header(data, limits=limits)
        except MMRawError as error:
            return error.code, error.path, error.message

    found = header()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmraw_protocol.images.header.jpeg_header", lambda *_: None)
        assert header() == found


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\x00\x00MM"}])
def test_a_common_jpeg_is_described_without_its_decoder(mode: str, options: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (50, 40)).save(buffer, "JPEG", comment=b"made here", **options)
    assert jpeg_header(buffer.getvalue(), Limits()) == (50, 40, mode)
