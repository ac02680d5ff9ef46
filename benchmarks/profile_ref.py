"""Shows the time of one small v3 ref, part by part.

    python -m benchmarks.profile_ref

Each part is timed alone, the shortest of its runs; the parts are those of `parse_ref` in order.
"""

import timeit
from collections.abc import Callable
from typing import Any

import msgspec

from mmraw_protocol import DEFAULT_LIMITS, RawMMRef, format_ref, parse_ref
from mmraw_protocol.wire._generated import checks, dialects, types
from mmraw_protocol.wire.base64 import decode_url, encode_base64url

from . import material


def parts() -> dict[str, Callable[[], Any]]:
    """name -> work."""
    wire = dialects.DIALECTS[dialects.DEFAULT_DIALECT]
    start = len(wire.prefix)
    text = format_ref(material.stored_ref(0))
    data = decode_url(text, start)
    assert data is not None
    ref = parse_ref(text)
    decode = msgspec.json.Decoder(types.RefV3).decode
    fields = {name: getattr(ref, name) for name in RawMMRef.__struct_fields__}
    encode = msgspec.json.Encoder().encode
    return {
        "parse_ref, whole": lambda: parse_ref(text),
        "base64, its spelling checked": lambda: decode_url(text, start),
        "typed decode": lambda: decode(data),
        "the model": lambda: RawMMRef(**fields),
        "canonical text, limits, payload": lambda: checks.fits_ref_v3(
            data, ref.family, ref, DEFAULT_LIMITS
        ),
        "format_ref, whole": lambda: format_ref(ref),
        "typed encode": lambda: encode(ref),
        "base64url": lambda: encode_base64url(data),
    }


def main() -> None:
    """Prints nanoseconds."""
    for name, work in parts().items():
        best = min(timeit.repeat(work, number=20_000, repeat=7)) / 20_000
        print(f"{name:34} {best * 1e9:6.0f} ns")


if __name__ == "__main__":
    main()
