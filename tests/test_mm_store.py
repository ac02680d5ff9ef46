"""The stand-in for renderers' mm_store: same names, same text, ValueError where it was one.

tests/data/mm_store.jsonl holds what the module it stands in for did, recorded by running it:
`result` (for an offloaded image the size; names differ by design) or `refused`; `stricter` marks
what only this one refuses, each kind of it named in docs/mm_store.md.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import samples

from mmraw_protocol import MMRawError, parse_item, parse_ref
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.legacy import mm_store
from mmraw_protocol.stores import LocalStore

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "mm_store.jsonl").read_text().splitlines()
]
FIELDS = samples.ref_fields(raw_image_id="a.png")
del FIELDS["payload"]
NAMES = (
    mm_store.IMAGE_OFFLOAD_DIR_ENV,
    mm_store.IMAGE_STORAGE_ENV,
    mm_store.RUN_DIR_ENV,
    mm_store.RUN_ID_ENV,
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def call(row: dict[str, Any], folder: Path) -> Any:
    arguments = dict(row["arguments"])
    if row["call"] == "offload_image_to_run_assets":
        found = mm_store.offload_image_to_run_assets(arguments["url"], folder)
        return None if found is None else found[1]
    if row["call"] == "split_raw_mm_ref":
        ref = mm_store.split_raw_mm_ref(arguments["ref"])
        return {name: value for name, value in vars(ref).items() if value is not None}
    return getattr(mm_store, row["call"])(**arguments)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_it_does_what_was_recorded(row: dict[str, Any], tmp_path: Path) -> None:
    if row.get("refused"):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (the class is the point)
            call(row, tmp_path)
        assert isinstance(caught.value, MMRawError)
    else:
        assert call(row, tmp_path) == row["result"]


def test_the_recorded_rows_cover_every_verdict() -> None:
    assert len(ROWS) == 161
    for name in ("raw_mm_ref", "split_raw_mm_ref", "offload_image_to_run_assets"):
        rows = [row for row in ROWS if row["call"] == name]
        assert {"result", "refused"} <= {key for row in rows for key in row}
        assert any(row.get("stricter") for row in rows)


@pytest.mark.parametrize(
    "row",
    [
        row
        for line in (vectors_folder() / "fingerprint.jsonl").read_text().splitlines()
        if (row := json.loads(line))["input"]["dialect"] in ("v2", "v3") and "result" in row
    ],
    ids=lambda row: row["id"],
)
def test_fingerprints_are_those_of_the_wire(row: dict[str, Any]) -> None:
    found = mm_store.image_layout_fingerprint(
        family=row["input"]["family"], **row["input"]["values"]
    )
    assert found == row["result"]["fingerprint"]


def test_signatures_are_those_that_callers_know() -> None:
    expected = {
        "normalize_run_id": "run_id",
        "run_dir_name": "run_id",
        "current_run_id": "",
        "run_dir": "run_id=None",
        "run_image_dir": "run_id=None",
        "image_storage_mode": "",
        "offload_image_to_run_assets": "url, image_dir=None",
        "raw_image_path": "*, run_id, raw_image_id",
        "image_layout_fingerprint": "*, family, **values",
        "raw_mm_item": "*, modality, family, layout_fingerprint, payload, raw_uri=None, "
        "raw_image_id=None, vllm_modality=None",
        "raw_mm_ref": "*, run_id, family, fingerprint, modality, mm_hash, raw_image_id=None, "
        "raw_uri=None, payload=None",
        "split_raw_mm_ref": "ref",
        "is_raw_mm_ref": "ref",
        "RawMMRef": "run_id, family, fingerprint, modality, mm_hash, payload, raw_uri=None, "
        "raw_image_id=None",
    }
    for name, parameters in expected.items():
        signature = inspect.signature(getattr(mm_store, name))
        plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        shown = str(signature.replace(parameters=plain, return_annotation=signature.empty))
        assert shown == f"({parameters})"
    constants = set(mm_store.__all__) - set(expected)
    assert all(name.isupper() for name in constants)
    assert mm_store.IMAGE_REF_V2_PREFIX == "mmraw:v2"
    assert mm_store.IMAGE_REF_VERSION == "v3"
    assert Path("/data/outputs") == mm_store.RUN_OUTPUT_ROOT


def test_payloads_stay_any_json_object_here_and_only_here() -> None:
    payload = {"image_grid_thw": "later", "n": {"1": [True, None, 1.5]}}
    text = mm_store.raw_mm_ref(**FIELDS, payload=payload)
    assert mm_store.split_raw_mm_ref(text).payload == payload
    with pytest.raises(MMRawError) as caught:
        parse_ref(text)
    assert caught.value.path.startswith("$.payload")
    # Keys that are no strings are written, and sorted, as json.dumps does.
    text = mm_store.raw_mm_ref(**FIELDS, payload={10: "a", 9: "b"})  # pyright: ignore[reportArgumentType]
    assert list(mm_store.split_raw_mm_ref(text).payload) == ["9", "10"]
    loop: dict[str, object] = {}
    loop["self"] = loop
    for bad in ({"x": float("nan")}, {"x": object()}, loop, {"x": 2**60}, {"x": "\ud800"}):
        with pytest.raises(MMRawError):
            mm_store.raw_mm_ref(**FIELDS, payload=bad)  # pyright: ignore[reportArgumentType]


def test_what_fits_its_family_is_read_everywhere() -> None:
    text = mm_store.raw_mm_ref(**FIELDS, payload={"image_grid_thw": [[1, 16, 16]]})
    assert parse_ref(text).raw_image_id == "a.png"
    assert mm_store.is_raw_mm_ref(text)
    assert not mm_store.is_raw_mm_ref(text.encode())
    with pytest.raises(MMRawError, match="missing_source"):
        mm_store.raw_mm_ref(**{**FIELDS, "raw_image_id": None})
    for uri in ("", "http://x/a.png", "file:///x/b.png"):
        with pytest.raises(MMRawError, match="invalid_raw_uri"):
            mm_store.raw_mm_ref(**FIELDS, raw_uri=uri)


def test_envelopes_are_marked_and_keep_the_callers_payload() -> None:
    payload: dict[str, object] = {"image_grid_thw": [[1, 16, 16]]}
    common: dict[str, Any] = {
        "modality": "image",
        "family": "qwen_vl",
        "layout_fingerprint": FIELDS["fingerprint"],
        "payload": payload,
    }
    item = mm_store.raw_mm_item(**common, raw_image_id="a.png")
    assert item["payload"] is payload
    assert list(item) == [
        *("kind", "version", "modality", "family", "layout_fingerprint", "payload"),
        *("_prime_rl_image_ref", "raw_image_id"),
    ]
    assert parse_item(item).raw_image_id == "a.png"
    item = mm_store.raw_mm_item(**common, raw_uri="data:,", vllm_modality="vision_chunk")
    assert list(item)[6:] == ["vllm_modality", "raw_uri", "_prime_rl_image_ref"]
    assert "_prime_rl_image_ref" not in mm_store.raw_mm_item(**common)


def test_run_ids_and_directories_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert mm_store.normalize_run_id(" run_a ") == "a"
    assert mm_store.run_dir_name("a") == "run_a"
    for bad in ("", "run_", "run_run_a", "..", "a/b"):
        with pytest.raises(MMRawError):
            mm_store.normalize_run_id(bad)
    with pytest.raises(RuntimeError):
        mm_store.run_dir()
    with pytest.raises(RuntimeError):
        mm_store.current_run_id()
    monkeypatch.setenv(mm_store.IMAGE_STORAGE_ENV, " Inline ")
    assert (mm_store.image_storage_mode(), mm_store.current_run_id()) == ("inline", "inline")
    for bad in ("both", ""):
        monkeypatch.setenv(mm_store.IMAGE_STORAGE_ENV, bad)
        with pytest.raises(MMRawError):
            mm_store.image_storage_mode()
    monkeypatch.setenv(
        mm_store.IMAGE_OFFLOAD_DIR_ENV, str(tmp_path / "run_b" / "assets" / "images")
    )
    assert mm_store.current_run_id() == "b"
    monkeypatch.setenv(mm_store.IMAGE_OFFLOAD_DIR_ENV, str(tmp_path / "run_b"))
    assert mm_store.current_run_id() == "explicit"
    monkeypatch.setenv(mm_store.RUN_DIR_ENV, str(tmp_path / "run_c"))
    assert mm_store.current_run_id() == "c"
    assert mm_store.run_dir("x") == tmp_path / "run_c"
    assert mm_store.run_image_dir("x") == tmp_path / "run_b"
    monkeypatch.delenv(mm_store.IMAGE_OFFLOAD_DIR_ENV)
    assert mm_store.run_image_dir() == tmp_path / "run_c" / "assets" / "images"
    monkeypatch.delenv(mm_store.RUN_DIR_ENV)
    monkeypatch.setenv(mm_store.RUN_ID_ENV, "run_d")
    assert mm_store.current_run_id() == "d"
    assert mm_store.run_dir() == Path("/data/outputs/run_d")
    assert mm_store.run_dir("e") == Path("/data/outputs/run_e")


def test_offloaded_images_are_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(mm_store.RUN_DIR_ENV, str(tmp_path / "run_x"))
    url, size = mm_store.offload_image_to_run_assets("data:image/png;base64,aGVsbG8=") or ("", 0)
    name = url.rpartition("/")[2]
    path = mm_store.raw_image_path(run_id="x", raw_image_id=name)
    assert (path.read_bytes(), size, path.as_uri()) == (b"hello", 5, url)
    assert LocalStore.for_run_dir(tmp_path / "run_x").get(name) == b"hello"
    with pytest.raises(MMRawError, match="empty_source"):
        mm_store.offload_image_to_run_assets("data:image/png;base64,")
    (path.parent / "link.png").symlink_to("/etc/passwd")
    for bad in ("link.png", "../x", ".."):
        with pytest.raises(MMRawError):
            mm_store.raw_image_path(run_id="x", raw_image_id=bad)
