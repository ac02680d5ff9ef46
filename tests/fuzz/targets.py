"""Targets of fuzzing: one function per reader, from any bytes to a value or the one error.

A target returns where the reader keeps its promises and raises AssertionError where it does not.
"""

import binascii
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from promises import broken_promise

from mmraw_protocol import (
    MMRawError,
    format_ref,
    parse_content_parts,
    parse_features,
    parse_item,
    parse_mm_refs,
    parse_ref,
)
from mmraw_protocol.conformance.vectors import Vector, expand, read_vectors, vectors_folder
from mmraw_protocol.files.packed import packed_pieces
from mmraw_protocol.files.prefixes import StringPrefixes
from mmraw_protocol.images import decode_rgb, read_header
from mmraw_protocol.images.memory import fits_bound
from mmraw_protocol.wire._generated.limits import Limits
from mmraw_protocol.wire.base64 import encode_base64, encode_base64url
from mmraw_protocol.wire.data_url import parse_data_uri
from mmraw_protocol.wire.msgpack_stream import json_lines

#: Small, so that a picture which is accepted costs little.
PICTURES = Limits(image_pixels=1 << 16)
V2_HEAD = "mmraw:v2:run1:{}:" + "0123456789abcdef" * 2 + ":image:" + "0" * 32 + ":a.png:"
FAMILIES = ("qwen_vl", "kimi_k25", "another")


def _keeps(reader: Callable[..., Any], given: Any, **options: Any) -> Any:
    """Returns the reader's value, or None for a rejection that keeps its promises."""
    try:
        return reader(given, **options)
    except MMRawError as error:
        fault = broken_promise(error, given)
        assert fault is None, fault
    return None


def ref(data: bytes) -> None:
    """Any text as a ref."""
    _read_and_write(data.decode("utf-8", "replace"))


def ref_v3(data: bytes) -> None:
    """Any JSON text as the body of a v3 ref."""
    _read_and_write("mmraw:v3:" + encode_base64url(data))


def ref_v2(data: bytes) -> None:
    """Any payload of any family in a v2 ref."""
    family = FAMILIES[data[0] % len(FAMILIES)] if data else FAMILIES[0]
    _read_and_write(V2_HEAD.format(family) + encode_base64url(data[1:]))


def _read_and_write(text: str) -> None:
    found = _keeps(parse_ref, text)
    if found is None or found.dialect not in ("v2", "v3"):
        return
    written = _keeps(format_ref, found, dialect=found.dialect)
    # A run label may shed one `run_`; all else must come back as it was.
    if written is not None:
        assert parse_ref(written) == found, "what was written is read as another value"


def item(data: bytes) -> None:
    """Any text as an envelope."""
    found = _keeps(parse_item, data)
    if found is not None:
        assert parse_item(found.to_dict()) == found, "an envelope is read as another value"


def features(data: bytes) -> None:
    """Any text as a features body."""
    found = _keeps(parse_features, data)
    if found is not None:
        assert parse_features(found.to_dict()) == found, "a body is read as another value"


def content_parts(data: bytes) -> None:
    """Any text as the content parts of a request."""
    found = _keeps(parse_content_parts, data)
    if found is not None:
        again = parse_content_parts(found.to_list())
        assert again == found, "content parts are read as other ones"


def mm_refs(data: bytes) -> None:
    """Any bytes as mm_refs: JSON, or MessagePack by their first byte."""
    found = _keeps(parse_mm_refs, data)
    if found is None:
        return
    for form in (found.to_dict(), found.to_list()):
        assert parse_mm_refs(form) == found, "mm_refs are read as other ones in another form"
        assert parse_mm_refs(msgspec.msgpack.encode(form)) == found, "MessagePack says otherwise"


def msgpack_file(data: bytes) -> None:
    """Any bytes as a file of MessagePack: as JSON, and as strings between bytes to pass on."""
    lines = _keeps(lambda given: b"".join(json_lines(io.BytesIO(given).read)), data)
    if lines is None:
        return
    for line in lines.splitlines():
        json.loads(line)
    pieces = packed_pieces(io.BytesIO(data).read, StringPrefixes(["mmraw:"], keys=True), most=1000)
    given = b"".join(piece if isinstance(piece, bytes) else piece.raw for piece in pieces)
    assert given == data, "what is passed on is not what was read"


def data_uri(data: bytes) -> None:
    """Any text as a data: URL, and any base64 behind a good head."""
    for text in (data.decode("latin-1"), "data:image/png;base64," + data.decode("latin-1")):
        found = _keeps(parse_data_uri, text)
        if found is not None:
            again = text.partition(",")[0] + "," + encode_base64(found.data)
            assert again == text, "two texts stand for the same bytes"


def image(data: bytes) -> None:
    """Any bytes as an image: the header, and the pixels of small ones."""
    header = _keeps(read_header, data, limits=PICTURES)
    # The luck of the bytes may not decide where the image would be decoded.
    fits_bound(data, PICTURES)
    decoded = _keeps(decode_rgb, data, limits=PICTURES, frames="first", isolation="off")
    if decoded is not None:
        assert header is not None
        assert (decoded.width, decoded.height) == (header.width, header.height)
        assert len(decoded.rgb) == 3 * decoded.width * decoded.height


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        ref,
        ref_v3,
        ref_v2,
        item,
        features,
        content_parts,
        mm_refs,
        msgpack_file,
        data_uri,
        image,
    )
}


def seeds(target: str) -> Iterator[bytes]:
    """Yields the seeds of fuzzing: the vectors, in the form that the target takes."""
    if target == "image":
        for folder in ("images", "bad_images"):
            for path in sorted((vectors_folder() / folder).iterdir()):
                data = path.read_bytes()
                if len(data) <= 1 << 14:
                    yield data
        return
    if target in ("mm_refs", "msgpack_file"):
        table = (vectors_folder() / "msgpack" / "mm_refs.json").read_bytes()
        yield from (binascii.a2b_base64(row["base64"]) for row in json.loads(table))
    for vector in read_vectors():
        yield from (seed for seed in _seeds_of(target, vector) if len(seed) <= 1 << 14)


def _seeds_of(target: str, vector: Vector) -> Iterator[bytes]:
    given = expand(vector.input)
    if target.startswith("ref") and vector.op == "parse_ref" and isinstance(given["ref"], str):
        text = given["ref"]
        if target == "ref":
            yield text.encode("utf-8", "replace")
        elif text.startswith("mmraw:v3:" if target == "ref_v3" else "mmraw:v2:"):
            body = _base64url(text.rsplit(":", 1)[1])
            yield body if target == "ref_v3" else bytes([0]) + body
    elif target == "item" and vector.op == "parse_item":
        yield given["text"].encode() if "text" in given else json.dumps(given["item"]).encode()
    elif target == "features" and vector.op == "parse_features":
        text = given["text"] if "text" in given else json.dumps(given["features"])
        yield text.encode("utf-8", "replace")
    elif target == vector.op.removeprefix("parse_") and target in ("content_parts", "mm_refs"):
        text = given["text"] if "text" in given else json.dumps(given[target])
        yield text.encode("utf-8", "replace")
    elif target == "data_uri" and vector.op == "parse_data_uri":
        yield str(given["data_uri"]).encode("latin-1", "replace")


def _base64url(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.translate(str.maketrans("-_", "+/")) + "==")
    except ValueError:
        return b""
