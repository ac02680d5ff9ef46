"""Verifying a ref: its bytes are hashed once and compared with all that it says."""

from pathlib import Path

import msgspec
import pytest
import samples

from mmraw_protocol import MMRawError, RawMMRef, format_ref, open_store, parse_ref, verify_ref
from mmraw_protocol.wire.hashes import sha256_hex

IMAGE = bytes(range(256)) * 1000


def ref_of(data: bytes, name: str | None = None) -> RawMMRef:
    """A ref over `data`: inline where it has no name."""
    uri = None if name else samples.data_url(data)
    mm_hash = sha256_hex(data)[:32]
    return parse_ref(samples.ref(mm_hash=mm_hash, raw_image_id=name, raw_uri=uri))


@pytest.mark.parametrize("size", [1, 100, 100_000, 256_000])
def test_an_inline_image_is_verified_as_text_and_as_ref(size: int) -> None:
    data = IMAGE[:size]
    text = format_ref(ref_of(data))
    for given in (text, ref_of(data)):
        ref, digest = verify_ref(given)
        assert digest == sha256_hex(data)
        assert ref.raw_uri == ref_of(data).raw_uri


@pytest.mark.parametrize("size", [1, 100, 100_000, 256_000])
def test_a_verdict_alone_is_the_same_and_holds_no_image(size: int) -> None:
    data = IMAGE[:size]
    text = format_ref(ref_of(data))
    kept, digest = verify_ref(text)
    for given in (text, kept):
        ref, found = verify_ref(given, keep_uri=False)
        assert found == digest
        assert ref == msgspec.structs.replace(kept, raw_uri=None)
    wrong = msgspec.structs.replace(kept, mm_hash="0" * 32)
    with pytest.raises(MMRawError) as caught:
        verify_ref(format_ref(wrong), keep_uri=False)
    assert caught.value.code == "hash_mismatch"


@pytest.mark.parametrize("size", [1, 100_000])
def test_other_bytes_than_the_hash_names_are_refused(size: int) -> None:
    other = ref_of(IMAGE[:size])
    text = format_ref(other)
    assert verify_ref(text)[0].mm_hash == other.mm_hash
    wrong = format_ref(ref_of(IMAGE[: size + 1]))
    mixed = msgspec.structs.replace(other, raw_uri=verify_ref(wrong)[0].raw_uri)
    for given in (format_ref(mixed), mixed):
        with pytest.raises(MMRawError) as caught:
            verify_ref(given)
        assert caught.value.code == "hash_mismatch"


def test_a_stored_image_is_read_and_verified(tmp_path: Path) -> None:
    store = open_store(tmp_path, run_id="exp42")
    name = store.put(IMAGE)
    text = format_ref(ref_of(IMAGE, name))
    assert verify_ref(text, store)[1] == sha256_hex(IMAGE)
    with pytest.raises(MMRawError) as caught:
        verify_ref(text)
    assert caught.value.code == "source_unavailable"
    store.delete(name)
    with pytest.raises(MMRawError):
        verify_ref(text, store)
