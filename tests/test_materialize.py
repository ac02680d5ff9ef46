"""From refs back to pixels."""

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import described_refs
import msgspec
import pytest
import samples
from samples import JPEG
from samples import RGBA as OTHER

from mmraw_protocol import Limits, MMRawError, RawMMRef, format_ref
from mmraw_protocol.families import Adapter, get_adapter
from mmraw_protocol.images import decode_rgb
from mmraw_protocol.materialize import materializer as materialize
from mmraw_protocol.materialize.cache import SingleFlightCache
from mmraw_protocol.materialize.materializer import (
    CACHE_ENV,
    Materializer,
    cache_bytes_from_environment,
)
from mmraw_protocol.materialize.stats import prometheus_text
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.features import PlaceholderRange, Slot
from mmraw_protocol.wire.hashes import sha256_hex


def ref_of(data: bytes, adapter: Adapter, **changes: Any) -> RawMMRef:
    """An inline ref of an image, with fields changed."""
    uri = samples.data_url(data, adapter.describe(data).format)
    return described_refs.ref_of(adapter, data, **({"raw_uri": uri} | changes))


QWEN = get_adapter("qwen_vl")
KIMI = get_adapter("kimi_k25")


def code_of(materializer: Materializer, ref: Any, **beside: Any) -> str:
    """The code that refuses."""
    with pytest.raises(MMRawError) as caught:
        materializer.materialize(ref, **beside)
    assert caught.value.__context__ is None
    return caught.value.code


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store of run exp42."""
    return LocalStore(tmp_path / "images", run_id="exp42")


@pytest.mark.parametrize("adapter", [QWEN, KIMI], ids=["qwen", "kimi"])
def test_the_pixels_are_those_that_were_meant(adapter: Adapter, store: LocalStore) -> None:
    name = store.put(JPEG)
    materializer = Materializer(store, cache_bytes=0)
    inline = ref_of(JPEG, adapter)
    stored = ref_of(JPEG, adapter, raw_uri=None, raw_image_id=name)
    for ref in (inline, stored, format_ref(inline), format_ref(stored, "v2")):
        found = materializer.materialize(ref)
        assert found.rgb == decode_rgb(JPEG).rgb
        assert (found.width, found.height) == found.image.size == (320, 200)
        assert found.placeholder_length == adapter.layout(320, 200).placeholder_length


def test_every_check_has_its_own_error(store: LocalStore) -> None:
    materializer = Materializer(store, cache_bytes=0)
    good = ref_of(JPEG, QWEN)
    replace = msgspec.structs.replace
    missing = replace(good, raw_uri=None, raw_image_id="0" * 64 + ".jpg")
    cases: list[tuple[str, RawMMRef, dict[str, Any]]] = [
        ("modality_mismatch", good, {"modality": "vision_chunk"}),
        ("hash_mismatch", good, {"mm_hash": "0" * 32}),
        ("hash_mismatch", replace(good, mm_hash=good.mm_hash[:16]), {}),
        ("hash_mismatch", replace(good, mm_hash="0" * 32), {}),
        ("source_unavailable", missing, {}),
        ("run_mismatch", replace(missing, run_id="other"), {}),
        ("object_corrupt", replace(good, raw_image_id="0" * 64 + ".jpg"), {}),
        ("unknown_family", replace(good, family="nobody", payload={}), {}),
        ("fingerprint_mismatch", replace(good, fingerprint="0" * 32), {}),
        ("grid_mismatch", replace(good, payload=QWEN.layout(64, 64).payload), {}),
        ("placeholder_mismatch", good, {"placeholder_length": 5}),
    ]
    for code, ref, beside in cases:
        assert code_of(materializer, ref, **beside) == code
    assert materializer.stats().refused["hash_mismatch"] == 3


def test_checks_come_in_their_order() -> None:
    wrong = ref_of(JPEG, QWEN, mm_hash="0" * 32, fingerprint="0" * 32, family="nobody", payload={})
    materializer = Materializer()
    assert code_of(materializer, wrong, modality="other") == "modality_mismatch"
    assert code_of(materializer, wrong, mm_hash="1" * 32) == "hash_mismatch"
    assert code_of(materializer, wrong) == "hash_mismatch"


def test_a_kimi_token_count_that_lies_is_refused() -> None:
    payload = {"grid_thws": [list(KIMI.layout(320, 200).grid_thw)], "num_media_tokens": 7}
    assert code_of(Materializer(), ref_of(JPEG, KIMI, payload=payload)) == "grid_mismatch"


@pytest.mark.parametrize("data", [JPEG, OTHER, JPEG + bytes(200_000)], ids=len)
def test_an_inline_image_is_decoded_once(data: bytes) -> None:
    ref, made = ref_of(data, QWEN), Materializer(adapters={"qwen_vl": QWEN}, cache_bytes=0)
    expected = made.materialize(ref)
    with pytest.MonkeyPatch.context() as patch:
        # This function decodes the raw_uri of a ref that was read elsewhere.
        patch.setattr(materialize, "parse_data_uri", None)
        found = made.materialize(format_ref(ref))
    assert (found.rgb, found.sha256) == (expected.rgb, sha256_hex(data))
    wrong = msgspec.structs.replace(ref, mm_hash="0" * 32)
    assert code_of(made, format_ref(wrong)) == code_of(made, wrong) == "hash_mismatch"


def test_without_a_store_only_inline_refs() -> None:
    ref = ref_of(JPEG, QWEN, raw_uri=None, raw_image_id="a.jpg")
    assert code_of(Materializer(), ref) == "source_unavailable"


def test_families_can_be_narrowed() -> None:
    assert code_of(Materializer(families=["kimi_k25"]), ref_of(JPEG, QWEN)) == "unknown_family"


def test_limits_hold_while_decoding() -> None:
    materializer = Materializer(limits=Limits(image_pixels=1000))
    assert code_of(materializer, ref_of(JPEG, QWEN)) == "limit_exceeded"


def test_a_hit_skips_no_check() -> None:
    materializer = Materializer(cache_bytes=10**7)
    ref = ref_of(JPEG, QWEN)
    materializer.materialize(ref)
    materializer.materialize(ref)
    assert (materializer.stats().hits, materializer.stats().misses) == (1, 1)
    assert code_of(materializer, ref, mm_hash="0" * 32) == "hash_mismatch"
    assert code_of(materializer, ref, modality="other") == "modality_mismatch"
    assert code_of(materializer, ref, placeholder_length=1) == "placeholder_mismatch"
    assert code_of(materializer, ref, placeholder_length=1) == "placeholder_mismatch"


def test_a_changed_picture_does_not_change_the_cache() -> None:
    materializer = Materializer(cache_bytes=10**7)
    ref = ref_of(JPEG, QWEN)
    materializer.materialize(ref).image.paste(0, (0, 0, 320, 200))
    assert materializer.materialize(ref).rgb == decode_rgb(JPEG).rgb


def test_the_cache_is_bounded_by_bytes() -> None:
    size = 320 * 200 * 4
    materializer = Materializer(cache_bytes=size)
    first, second = ref_of(JPEG, QWEN), ref_of(OTHER, QWEN)
    for ref in (first, second, first):
        materializer.materialize(ref)
    assert materializer.stats().misses == 3
    tiny = Materializer(cache_bytes=size - 1)
    for _ in range(2):
        tiny.materialize(first)
    assert tiny.stats().misses == 2


@pytest.mark.parametrize(("text", "size"), [("", 2 * 2**30), ("0", 0), ("0.5", 2**29)])
def test_the_cache_is_sized_by_the_environment(
    text: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_ENV, text)
    assert cache_bytes_from_environment() == size
    monkeypatch.setenv(CACHE_ENV, "many")
    with pytest.raises(MMRawError):
        cache_bytes_from_environment()


def test_many_threads_make_a_value_once() -> None:
    cache: SingleFlightCache[bytes] = SingleFlightCache(1000)
    entered, release = threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        entered.set()
        assert release.wait(10)
        return b"value"

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.get, "key", make, len)
        assert entered.wait(10)
        others = [pool.submit(cache.get, "key", make, len) for _ in range(7)]
        while cache.hits < 7:
            pass
        release.set()
        assert {future.result() for future in [first, *others]} == {b"value"}
    assert len(made) == 1


def test_failures_are_never_kept() -> None:
    cache: SingleFlightCache[bytes] = SingleFlightCache(1000)

    def fail() -> bytes:
        raise MMRawError("store_unavailable", "down")

    with pytest.raises(MMRawError):
        cache.get("key", fail, len)
    assert cache.get("key", lambda: b"up", len) == b"up"


def test_from_asyncio_and_in_batches() -> None:
    materializer = Materializer(cache_bytes=0)
    good, bad = ref_of(JPEG, QWEN), ref_of(JPEG, QWEN, fingerprint="0" * 32)
    assert asyncio.run(materializer.materialize_async(good)).width == 320
    results = list(materializer.materialize_many([good, bad, good], workers=2))
    assert [isinstance(result, MMRawError) for result in results] == [False, True, False]


def test_of_two_faults_the_earlier_check_tells(store: LocalStore) -> None:
    replace = msgspec.structs.replace
    good = ref_of(JPEG, QWEN)
    broken = b"GIF89a" + bytes(30)
    missing = replace(good, raw_uri=None, raw_image_id="0" * 64 + ".jpg")
    undecodable = replace(
        good,
        raw_uri=samples.data_url(broken, "gif"),
        mm_hash=sha256_hex(broken)[:32],
    )
    unknown_family: dict[str, Any] = {"family": "nobody", "payload": {}}
    wrong_print: dict[str, Any] = {"fingerprint": "0" * 32}
    # As many tokens, another shape.
    wrong_grid: dict[str, Any] = {"payload": QWEN.layout(200, 320).payload}
    zero: dict[str, Any] = {"mm_hash": "0" * 32}
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("not_a_ref", "nothing", {"modality": "other"}),
        ("modality_mismatch", good, {"modality": "other", **zero}),
        ("hash_mismatch", missing, zero),
        ("run_mismatch", replace(missing, run_id="other"), {}),
        ("source_unavailable", replace(missing, **zero), {}),
        ("hash_mismatch", replace(undecodable, **zero), {}),
        ("image_undecodable", replace(undecodable, **unknown_family), {}),
        ("unknown_family", replace(good, **unknown_family, **wrong_print), {}),
        ("fingerprint_mismatch", replace(good, **wrong_print, **wrong_grid), {}),
        ("grid_mismatch", replace(good, **wrong_grid), {"placeholder_length": 1}),
        ("placeholder_mismatch", good, {"placeholder_length": 1}),
    ]
    for cache_bytes in (0, 10**7):
        materializer = Materializer(store, cache_bytes=cache_bytes)
        for code, ref, beside in cases:
            assert code_of(materializer, ref, **beside) == code


def test_slots_are_held_against_what_stands_beside_them() -> None:
    ref = ref_of(JPEG, QWEN)
    length = QWEN.layout(320, 200).placeholder_length
    slots = [
        Slot("image", 0, ref.mm_hash, PlaceholderRange(offset=0, length=length), ref),
        Slot("image", 1, ref.mm_hash, PlaceholderRange(offset=0, length=1), ref),
        Slot("other", 2, ref.mm_hash, PlaceholderRange(offset=0, length=length), ref),
    ]
    materializer = Materializer(cache_bytes=0)

    async def collect() -> list[Any]:
        return [found async for found in materializer.materialize_many_async(slots)]

    for results in (list(materializer.materialize_many(slots)), asyncio.run(collect())):
        codes = [r.code if isinstance(r, MMRawError) else None for r in results]
        assert codes == [None, "placeholder_mismatch", "modality_mismatch"]


def test_batches_hold_few_images_at_a_time() -> None:
    ref = ref_of(JPEG, QWEN)
    taken: list[int] = []

    def refs() -> Any:
        for number in range(40):
            taken.append(number)
            yield ref

    materializer = Materializer(cache_bytes=0)
    for done, _ in enumerate(materializer.materialize_many(refs(), workers=2)):
        assert len(taken) <= done + 4

    async def some() -> int:
        taken.clear()
        async for _ in materializer.materialize_many_async(refs(), workers=2):
            if len(taken) >= 8:
                break
        return len(taken)

    assert asyncio.run(some()) == 8


def test_a_cancelled_caller_takes_nothing_from_the_others() -> None:
    entered, release = threading.Event(), threading.Event()
    ref = ref_of(JPEG, QWEN)
    materializer = Materializer(cache_bytes=10**7)
    make = materializer._make

    def slow(*args: Any) -> Any:
        entered.set()
        assert release.wait(10)
        return make(*args)

    materializer._make = slow  # type: ignore[method-assign]

    async def run() -> None:
        first = asyncio.create_task(materializer.materialize_async(ref))
        await asyncio.to_thread(entered.wait, 10)
        second = asyncio.create_task(materializer.materialize_async(ref))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        release.set()
        assert (await second).width == 320
        assert (await materializer.materialize_async(ref)).width == 320

    asyncio.run(run())
    materializer.close()
    assert materializer.stats().misses == 1


def test_a_refusal_is_each_waiters_own_and_an_interruption_nobodys() -> None:
    cache: SingleFlightCache[bytes] = SingleFlightCache(1000)
    entered, release = threading.Event(), threading.Event()
    endings: list[BaseException] = [MMRawError("store_unavailable", "down"), KeyboardInterrupt()]

    def fail() -> bytes:
        entered.set()
        assert release.wait(10)
        raise endings[0]

    for expected in (MMRawError, bytes):
        entered.clear()
        release.clear()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(cache.get, "key", fail, len)
            assert entered.wait(10)
            hits = cache.hits
            second = pool.submit(cache.get, "key", lambda: b"up", len)
            while cache.hits == hits:
                pass
            release.set()
            error = first.exception(10)
            assert error is endings.pop(0)
            if expected is bytes:
                assert second.result(10) == b"up"
            else:
                assert isinstance(second.exception(10), MMRawError)
                assert second.exception(10) is not error


def test_counters_are_exported_as_text() -> None:
    materializer = Materializer(cache_bytes=10**7)
    ref = ref_of(JPEG, QWEN)
    for _ in range(3):
        materializer.materialize(ref)
    code_of(materializer, "nothing")
    stats = materializer.stats()
    assert (stats.hits, stats.misses, stats.bytes_read) == (2, 1, len(JPEG))
    assert (stats.cached_images, stats.cached_bytes) == (1, 320 * 200 * 4)
    assert stats.seconds > 0
    lines = prometheus_text(stats).splitlines()
    assert "mmraw_materializer_cache_hits_total 2" in lines
    assert 'mmraw_materializer_refused_total{code="not_a_ref"} 1' in lines
    assert "# TYPE mmraw_materializer_cached_bytes gauge" in lines
    pattern = r'# (HELP|TYPE) \w+ .+|\w+(\{code="\w+"\})? [0-9.e+-]+'
    assert all(re.fullmatch(pattern, line) for line in lines)
