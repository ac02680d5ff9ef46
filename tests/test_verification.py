"""Verification of a ref: without a store by default, and more if more is at hand."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import samples

from mmraw_protocol import MMRawError
from mmraw_protocol.families import get_adapter
from mmraw_protocol.files import check
from mmraw_protocol.materialize.documents import verify_document
from mmraw_protocol.materialize.verification import Verifier
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.ref import parse_ref

QWEN = get_adapter("qwen_vl")
PNG = samples.PNG
DIGEST = hashlib.sha256(PNG).hexdigest()
GRID = [list(QWEN.describe(PNG).grid_thw)]
TOKENS = QWEN.describe(PNG).num_tokens
OTHER = {"image_grid_thw": [[1, 4, 4]]}


def ref(**changes: Any) -> str:
    """A ref of the picture, inline where its raw_uri is given."""
    fields = {
        "mm_hash": DIGEST[:32],
        "payload": {"image_grid_thw": GRID},
        "raw_image_id": f"{DIGEST}.png",
    }
    return samples.ref(**(fields | changes))


def inline(**changes: Any) -> str:
    """The same with its picture in it."""
    return ref(raw_image_id=None, raw_uri=samples.data_url(PNG), **changes)


def codes(document: Any, **options: Any) -> list[str]:
    """The codes of a ref's faults."""
    _, verdict = Verifier(**options).verify_text(document)
    assert {fault.code for fault in verdict.faults} or "contradicts" not in verdict.steps.values()
    return [fault.code for fault in verdict.faults]


def faults(value: Any) -> list[tuple[str, str]]:
    """Returns the faults of a file of one line as (code, path)."""
    checked = check(io.BytesIO(json.dumps(value).encode()).read)
    assert sum(checked.refused.values()) == len(checked.refusals)
    return [(one.code, one.path) for one in checked.refusals]


def test_a_ref_that_agrees_with_itself_has_no_fault() -> None:
    assert codes(ref()) == codes(inline()) == []
    verdict = Verifier().verify_text(inline())[1]
    assert verdict.size == (101, 67)
    assert [name for name, state in verdict.steps.items() if state == "ok"] == [
        "hash",
        "source",
        "grid",
    ]
    assert set(Verifier().verify_text(ref())[1].steps.values()) == {"unchecked"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mm_hash": "0" * 32}, "hash_mismatch"),
        ({"mm_hash": DIGEST[:64].replace(DIGEST[40:], "0" * 24)}, "hash_mismatch"),
        ({"payload": OTHER}, "grid_mismatch"),
    ],
)
def test_what_an_inline_image_contradicts(changes: dict[str, Any], code: str) -> None:
    assert codes(inline(**changes)) == [code]
    assert [found for found, _ in faults({"a": [inline(**changes)]})] == [code]


def test_every_fault_of_a_ref_is_told() -> None:
    both = inline(mm_hash="0" * 32, payload=OTHER)
    assert codes(both) == ["hash_mismatch", "grid_mismatch"]
    assert faults([both]) == [
        ("hash_mismatch", "$[0].mm_hash"),
        ("grid_mismatch", "$[0].payload"),
    ]
    broken = ref(raw_image_id=None, raw_uri=samples.data_url(b"no picture"))
    assert codes(broken) == ["hash_mismatch", "image_undecodable"]


@pytest.mark.parametrize("stem", [DIGEST[:16], DIGEST[:32], DIGEST])
def test_a_name_contradicts_the_hash_without_bytes(stem: str) -> None:
    assert codes(ref(raw_image_id=f"{stem}.png")) == []
    assert codes(ref(raw_image_id=f"{stem}.png", mm_hash="0" * 32)) == ["hash_mismatch"]
    # Of other names nobody knows a hash.
    assert codes(ref(raw_image_id="picture.png", mm_hash="0" * 32)) == []


def test_placeholders_are_compared_with_grids() -> None:
    body = samples.features(ref(), mm_hash=DIGEST[:32])
    body["mm_placeholders"]["image"][0]["length"] = TOKENS
    assert faults(body) == []
    body["mm_placeholders"]["image"][0]["length"] = TOKENS + 1
    assert faults({"features": body}) == [
        ("placeholder_mismatch", "$.*.mm_placeholders.image[0].length")
    ]
    with pytest.raises(MMRawError, match=f"length {TOKENS + 1}, the grid gives {TOKENS} tokens"):
        raise verify_document("features", body, Verifier())[0].verdict.faults[0]
    assert faults([[[ref(), 5, TOKENS]]]) == []
    assert faults([[[ref(), 5, 9]]]) == [("placeholder_mismatch", "$[0][0][2]")]
    images = {"images": [{"url": ref(), "offset": 5, "length": 9}]}
    assert faults({"mm_refs": images}) == [("placeholder_mismatch", "$.mm_refs.images[0].length")]
    # Nobody knows the layout parameters of this fingerprint.
    unknown = ref(fingerprint="0" * 32)
    assert faults([[[unknown, 5, 9]]]) == []


def test_kimi_allows_the_lengths_of_both_conventions() -> None:
    kimi = get_adapter("kimi_k25")
    picture = kimi.describe(PNG)
    fields = {"modality": "vision_chunk", "fingerprint": kimi.fingerprint()}
    payload = {"grid_thws": [list(picture.grid_thw)], "num_media_tokens": picture.num_tokens}
    text = samples.ref("v3", "kimi_k25", payload=payload, **fields)
    for length, wrong in ((1, False), (picture.num_tokens, False), (2, True)):
        assert bool(faults([[[text, 5, length]]])) is wrong


def test_envelopes_are_compared_with_their_images() -> None:
    item = samples.envelope(
        raw_image_id=None, raw_uri=samples.data_url(PNG), payload={"image_grid_thw": GRID}
    )
    assert faults(item) == []
    assert faults({**item, "payload": OTHER}) == [("grid_mismatch", "$.payload")]
    assert faults({**item, "layout_fingerprint": "0" * 32, "payload": OTHER}) == []


def test_a_store_a_run_and_a_configuration_verify_more(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert codes(ref(), store=store) == ["source_unavailable"]
    name = store.put(PNG)
    assert codes(ref(), store=store) == []
    assert codes(ref(payload=OTHER), store=store) == ["grid_mismatch"]
    assert codes(ref(mm_hash="0" * 32, raw_image_id="a.png"), store=store)
    assert codes(ref(), run_ids=["run_exp42", "other"]) == []
    # No bytes of another run are read.
    assert codes(ref(), run_ids=["other"], store=store) == ["run_mismatch"]
    other = get_adapter("qwen_vl", "qwen2_vl")
    assert codes(ref(), adapters={"qwen_vl": other}) == ["fingerprint_mismatch"]
    (tmp_path / name).write_bytes(PNG[:-9])
    assert codes(ref(), store=store) == ["object_corrupt"]


def test_pixels_are_decoded_where_that_is_asked() -> None:
    cut = PNG[: len(PNG) // 2]
    digest = hashlib.sha256(cut).hexdigest()[:32]
    text = ref(mm_hash=digest, raw_image_id=None, raw_uri=samples.data_url(cut))
    assert codes(text) == []
    assert codes(text, decode=True) == ["image_undecodable"]


def test_a_parsed_ref_and_a_long_text_have_the_same_verdict() -> None:
    noise = samples.JPEG + bytes(20_000)
    digest = hashlib.sha256(noise).hexdigest()[:32]
    grid = [list(QWEN.describe(noise).grid_thw)]
    uri = samples.data_url(noise, "jpeg")
    text = samples.ref(
        mm_hash=digest, raw_image_id=None, raw_uri=uri, payload={"image_grid_thw": grid}
    )
    assert codes(text) == []
    assert Verifier().verify(parse_ref(text)) == Verifier().verify_text(text)[1]


@pytest.mark.parametrize("processes", [1, 2])
def test_files_are_verified_with_what_is_at_hand(processes: int, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(PNG)
    lines = "".join(json.dumps({"ref": ref()}) + "\n" for _ in range(20))
    text = (lines + json.dumps(ref(run_id="other")) + "\n").encode()
    adapters = {"qwen_vl": QWEN}
    verifier = Verifier(store, run_ids=["exp42"], adapters=adapters, decode=True)
    options: dict[str, Any] = {"processes": processes, "block": 1 << 12, "start_seconds": 0.0}
    checked = check(io.BytesIO(text).read, verifier=verifier, **options)
    assert (checked.counts, checked.refused) == ({"ref": 21}, {"run_mismatch": 1})
    assert checked.refusals[0].line == 21


def test_the_rows_of_a_batch_are_verified_with_every_fault() -> None:
    arrow = pytest.importorskip("pyarrow")
    from mmraw_protocol.files.batches import validate_batch

    bad = inline(mm_hash="0" * 32, payload=OTHER, run_id="other")
    batch = arrow.RecordBatch.from_pydict({"ref": [ref(), bad]})
    found = [row for row in validate_batch(batch).to_pylist() if row["code"]]
    assert [(row["row"], row["code"], row["count"]) for row in found] == [
        (1, "hash_mismatch", 1),
        (1, "grid_mismatch", 0),
    ]
    runs = validate_batch(batch, verifier=Verifier(run_ids=["exp42"])).to_pylist()
    assert [row["code"] for row in runs if row["code"]] == ["run_mismatch"]
