"""Moving refs between dialects: without loss, or not at all."""

import functools
from pathlib import Path
from typing import Any

import pytest
import refusals
import samples
from hypothesis import given
from hypothesis import strategies as st
from samples import PNG

from mmraw_protocol import parse_ref
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.convert import convert_ref, dialect_names
from mmraw_protocol.testing import ref_fields, ref_text, refs
from mmraw_protocol.wire._generated.dialects import DIALECTS as TABLE

DIALECTS = dialect_names()
ADAPTER = get_adapter("qwen_vl")
FOUND = ADAPTER.describe(PNG)
#: The syntax of the dialects' raw_uri, and those that name no fingerprint.
KINDS = {name: None if wire.uri is None else wire.uri[1] for name, wire in TABLE.items()}
BARE = {name for name, wire in TABLE.items() if "fingerprint" not in wire.attributes}


def text_of(dialect: str, *, stored: str | None = None, label: str | None = None) -> str:
    """A ref of the one picture in any dialect."""
    grid = [list(FOUND.grid_thw)]
    inline = samples.data_url(PNG)
    changes: dict[str, Any] = {"raw_image_id": stored}
    match KINDS[dialect]:
        case "raw_uri":
            changes["raw_uri"] = label or (None if stored else inline)
        case "file_label":
            changes = {"raw_image_uri": label}
        case "data_url":
            changes = {"raw_image_data": inline}
    payload = {"grid_thw": grid} if dialect == "v1" else {"payload": {"image_grid_thw": grid}}
    hashes = {"mm_hash": FOUND.mm_hash}
    if dialect not in BARE:
        hashes["fingerprint"] = ADAPTER.fingerprint(dialect)
    return samples.ref(dialect, **changes, **payload, **hashes)


refused = functools.partial(refusals.refused, convert_ref)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_converting_to_its_own_dialect_changes_nothing(dialect: str, data: st.DataObject) -> None:
    text = data.draw(refs(dialect))
    run_id = parse_ref(text).run_id
    assert convert_ref(text, dialect, run_id=run_id) == text


@given(ref_fields("v2"))
def test_v2_becomes_v3_and_comes_back(fields: dict[str, Any]) -> None:
    text = ref_text(fields, "v2")
    upgraded = convert_ref(text)
    assert parse_ref(upgraded).fields() == fields
    assert convert_ref(upgraded, "v2") == text


@given(ref_fields("v3-runless"), st.sampled_from(["exp42", "run_exp42"]))
def test_a_runless_ref_takes_its_run_from_the_caller(fields: dict[str, Any], run_id: str) -> None:
    text = ref_text(fields, "v3-runless")
    assert "run_id" in refused(text).message
    upgraded = convert_ref(text, run_id=run_id)
    assert parse_ref(upgraded).fields() == {**fields, "run_id": "exp42"}
    assert "run_id" in refused(upgraded, "v3-runless").message
    assert convert_ref(upgraded, "v3-runless", run_id=run_id) == text


@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("target", DIALECTS)
def test_with_a_store_every_dialect_reaches_every_other(
    source: str, target: str, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "images", run_id="exp42")
    name = store.put(PNG)
    stored = None if KINDS[source] == "data_url" else name
    label = store.url(name) if KINDS[source] == "file_label" else None
    text = text_of(source, stored=stored, label=label)
    options: dict[str, Any] = {"run_id": "exp42", "config": {}, "store": store}
    converted = convert_ref(text, target, **options)
    assert parse_ref(converted).dialect == target
    expected = None if target in BARE else ADAPTER.fingerprint(target)
    assert parse_ref(converted).fingerprint == expected
    back = parse_ref(convert_ref(converted, source, **options))
    assert back.dialect == source
    # v3 may name its image either way; every other dialect comes back to the letter.
    if source != "v3":
        assert back == parse_ref(text)


def test_without_a_store_no_source_changes_its_kind() -> None:
    inline = text_of("v3")
    for target in ("v2", "v1", "v3-runless", "unversioned-uri"):
        error = refused(inline, target, run_id="exp42")
        assert error.code == "not_convertible"
        assert "raw_" in error.message
    label = text_of("v3", stored="a.png", label="file:///x/a.png")
    assert "raw_uri" in refused(label, "v2").message
    uri = text_of("unversioned-uri", label="file:///x/a.png")
    assert parse_ref(convert_ref(uri, run_id="exp42")).raw_image_id == "a.png"
    assert parse_ref(convert_ref(uri, run_id="exp42")).raw_uri == "file:///x/a.png"
    assert convert_ref(convert_ref(uri, run_id="r"), "unversioned-uri", run_id="r") == uri


def test_a_fingerprint_of_other_parameters_needs_the_configuration() -> None:
    parameters = {"patch_size": 14, "min_pixels": 3136, "max_pixels": 12845056}
    adapter = get_adapter("qwen_vl", parameters)
    text = text_of("v2", stored="a.png").replace(ADAPTER.fingerprint(), adapter.fingerprint())
    assert "fingerprint" in refused(text, "v1").message
    assert "fingerprint" in refused(text, "v1", config={"patch_size": 8}).message
    converted = parse_ref(convert_ref(text, "v1", config=parameters))
    assert converted.fingerprint == adapter.fingerprint("v1")


def test_the_bytes_must_be_those_that_the_ref_names(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "a.png").write_bytes(b"another image")
    text = text_of("v2", stored="a.png")
    options = {"run_id": "exp42", "store": store}
    assert refused(text, "unversioned-data", **options).code == "hash_mismatch"


def test_v1_knows_one_family() -> None:
    text = samples.ref("v2", "kimi_k25", modality="vision_chunk")
    assert refused(text, "v1").code == "not_convertible"


def test_an_unknown_dialect_is_named() -> None:
    assert refused(text_of("v2", stored="a.png"), "v9").code == "invalid_dialect"


def test_every_obstacle_is_named_at_once() -> None:
    fingerprint = get_adapter("kimi_k25").fingerprint("unversioned-data")
    text = samples.ref("unversioned-data", "kimi_k25", fingerprint=fingerprint)
    error = refused(text, "v1")
    assert error.code == "not_convertible"
    for name in ("run_id", "raw_image_id", "family", "payload", "raw_image_data"):
        assert name in error.message
    error = refused(text_of("v2", stored="a.png"), "unversioned-data")
    for name in ("raw_image_data", "run_id", "raw_image_id"):
        assert name in error.message


def test_a_payload_too_long_for_the_target_would_be_lost() -> None:
    fields = {**parse_ref(text_of("v3", stored="a.png")).fields(), "family": "other"}
    fields["payload"] = {"text": "x" * 60_000}
    error = refused(ref_text(fields, "v3"), "v2")
    assert (error.code, error.path) == ("not_convertible", "$.payload")


def test_v3_can_store_its_images_or_take_them_in(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, run_id="exp42")
    inline = text_of("v3")
    stored = convert_ref(inline, store=store, storage="offload")
    assert parse_ref(stored).raw_uri is None
    assert store.get(str(parse_ref(stored).raw_image_id)) == PNG
    assert convert_ref(stored, store=store, storage="offload") == stored
    assert convert_ref(stored, store=store, storage="inline") == inline
    assert "raw_image_id" in refused(inline, storage="offload").message
    assert refused(inline, "v2", storage="offload").code == "unsupported_option"


def test_a_store_of_another_run_is_not_used(tmp_path: Path) -> None:
    options = {"run_id": "exp42", "store": LocalStore(tmp_path, run_id="other")}
    assert refused(text_of("v3"), "v2", **options).code == "run_mismatch"
    assert refused(text_of("v2", stored="a.png"), "unversioned-data", **options).code == (
        "run_mismatch"
    )


def test_a_stored_name_is_kept_only_for_the_same_bytes(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    both = {"raw_image_id": "a.png", **parse_ref(text_of("v3")).fields()}
    text = ref_text(both, "v3")
    (tmp_path / "a.png").write_bytes(PNG)
    assert parse_ref(convert_ref(text, "v2", store=store)).raw_image_id == "a.png"
    (tmp_path / "a.png").write_bytes(b"another image")
    name = parse_ref(convert_ref(text, "v2", store=store)).raw_image_id
    assert store.get(str(name)) == PNG
