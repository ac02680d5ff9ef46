"""Limits below what a ref of a built-in family needs: its values are counted in every spelling."""

from collections.abc import Callable
from typing import Any

import pytest
import samples

from mmraw_protocol import DEFAULT_LIMITS, Limits, MMRawError, RawMMRef, format_ref, parse_ref
from mmraw_protocol.testing import ref_text
from mmraw_protocol.wire._generated.dialects import DIALECTS, WRITABLE
from mmraw_protocol.wire.base64 import decode_base64url
from mmraw_protocol.wire.ref_read import parse_strictly
from mmraw_protocol.wire.ref_stream import read_ref


@pytest.mark.parametrize("limit", ["listed_values", "payload_nodes"])
@pytest.mark.parametrize("dialect", WRITABLE)
def test_few_values_are_few_in_every_spelling(dialect: str, limit: str) -> None:
    ref = parse_ref(ref_text(samples.ref_fields(), "v3"))
    text = format_ref(ref, dialect)
    for most in range(40):
        limits = Limits(**{limit: most})
        strict = attempt(lambda limits=limits: parse_strictly(text, limits))
        assert attempt(lambda limits=limits: parse_ref(text, limits=limits)) == strict
        written = attempt(lambda limits=limits: format_ref(ref, dialect, limits=limits))
        assert written == (text if isinstance(strict, RawMMRef) else strict)


@pytest.mark.parametrize("limit", ["listed_values", "payload_nodes"])
@pytest.mark.parametrize("dialect", [d for d, wire in DIALECTS.items() if wire.read])
def test_readers_of_canonical_texts_leave_few_values_to_the_strict_one(
    dialect: str, limit: str
) -> None:
    wire, text = DIALECTS[dialect], ref_text(samples.ref_fields(dialect), dialect)
    assert wire.read is not None
    given: Any = text
    if wire.encoding != "segments":
        given = text.removeprefix(wire.prefix).encode()
    if wire.encoding == "base64url-json":
        given = decode_base64url(text, start=len(wire.prefix))
    assert wire.read(given, RawMMRef, DEFAULT_LIMITS) == parse_ref(text)
    assert wire.read(given, RawMMRef, Limits(**{limit: 5})) is None


def test_few_values_are_few_where_an_image_is_read_in_pieces() -> None:
    url = "data:image/png;base64," + "A" * 40_000
    text = ref_text(samples.ref_fields(raw_uri=url, raw_image_id=None), "v3")
    pieces: list[bytes] = []
    assert read_ref(text, pieces.append)[1]
    with pytest.raises(MMRawError) as caught:
        read_ref(text, pieces.append, limits=Limits(listed_values=5))
    assert caught.value.code == "limit_exceeded"


def attempt(work: Callable[[], Any]) -> Any:
    """A ref or a text, or the code that rejects it."""
    try:
        return work()
    except MMRawError as error:
        return error.code
