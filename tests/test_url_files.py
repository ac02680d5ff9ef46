"""Commands on files that name images by URLs: messages with refs, content parts, mm_refs."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples
from samples import PNG

from mmraw_protocol import (
    content_parts,
    get_adapter,
    mm_refs,
    parse_content_parts,
    parse_mm_refs,
    parse_ref,
    ref_messages,
)
from mmraw_protocol.cli import main
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.dialects import DIALECTS

ADAPTER = get_adapter("qwen_vl")
LENGTH = ADAPTER.describe(samples.PNG).placeholder_length
PLACES = {"image": [{"offset": 5, "length": LENGTH}]}


def conversation() -> list[Any]:
    """One message with one picture."""
    part = {"type": "image_url", "image_url": {"url": samples.data_url(samples.PNG)}}
    return [{"role": "user", "content": [part, {"type": "text", "text": "what is it?"}]}]


def row_of(messages: list[Any]) -> dict[str, Any]:
    """A rollout's row: the conversation, what the request carried, what the trainer gets."""
    parts = content_parts(messages)
    refs = mm_refs(parts, PLACES, form="array")
    return {
        "messages": messages,
        "content_parts": parts,
        "mm_refs": refs,
        "mm_placeholders": PLACES,
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of the run's images."""
    return tmp_path / f"run_{samples.RUN_ID}" / "assets" / "images"


@pytest.fixture
def stored(place: Path) -> list[Any]:
    """The conversation with a ref of the stored image for its URL."""
    return ref_messages(conversation(), ADAPTER, store=LocalStore(place))


def inline() -> list[Any]:
    """The conversation with a ref that carries the image for its URL."""
    return ref_messages(conversation(), ADAPTER, storage="inline", run_id=samples.RUN_ID)


@pytest.fixture
def rollouts(stored: list[Any], tmp_path: Path) -> Path:
    """Rows with refs of both kinds."""
    file = tmp_path / "rollouts.jsonl"
    rows = [row_of(stored), row_of(inline()), row_of(stored)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VF_RENDERER_IMAGE_OFFLOAD_DIR", "PRIME_RL_RUN_DIR", "RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def said(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> Any:
    """Returns what a command prints as JSON."""
    assert main([*map(str, args), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def rows_in(file: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_validate_counts_each_list_once(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "validate", rollouts)
    assert found["checked"] == {"content_parts": 3, "messages": 3, "mm_refs": 3, "ref": 3}
    assert found["refused"] == 0


@pytest.mark.parametrize("indent", [None, 1])
def test_validate_says_what_is_wrong_and_where(
    indent: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = row_of(inline())
    row["content_parts"].append({"type": "text", "text": "x"})
    row["mm_refs"][0][0][2] = 0
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"rows": [row]}, indent=indent))
    found = said(capsys, "validate", file, code=1)
    assert [(one["kind"], one["code"], one["path"]) for one in found["refusals"]] == [
        ("content_parts", "invalid_value", "$.*[0].content_parts[1].type"),
        ("mm_refs", "placeholder_invalid", "$.*[0].mm_refs[0][0][2]"),
    ]


@pytest.mark.parametrize("form", ["content-parts", "messages", "mm-refs"])
@pytest.mark.parametrize("storage", ["offload", "inline"])
def test_what_pack_prints_is_understood_by_the_other_commands(
    form: str, storage: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LocalStore(place)
    file, made = tmp_path / "messages.json", tmp_path / "made.json"
    file.write_text(json.dumps(conversation()))
    packed = said(
        capsys, "pack", file, "--as", form, "--storage", storage, "--store", place,
        "--offsets", "5", "--run-id", samples.RUN_ID,
    )  # fmt: skip
    expected = row_of(
        ref_messages(conversation(), ADAPTER, store=LocalStore(place))
        if storage == "offload"
        else inline()
    )
    if form == "mm-refs":
        assert parse_mm_refs(packed) == parse_mm_refs(expected["mm_refs"])
    else:
        assert packed == expected[form.replace("-", "_")]
    made.write_text(json.dumps(packed))
    kinds = ["messages", "ref"] if form == "messages" else [form.replace("-", "_")]
    assert said(capsys, "validate", made)["checked"] == dict.fromkeys(kinds, 1)
    shown = said(capsys, "inspect", made)
    assert shown["kind"] == form.replace("-", "_")
    assert "qwen_vl" in shown["facts"]["[0]"]
    (picture,) = said(capsys, "materialize", made, "--store", place, "--out", tmp_path / "out")
    assert (picture["width"], picture["height"]) == (101, 67)


def test_pack_counts_the_tokens_around_a_span(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(conversation()))
    options = ("--family", "gemma4", "--storage", "inline", "--offsets", "5")
    body = said(capsys, "pack", file, *options)
    (span,) = body["mm_placeholders"]["image"]
    (image,) = said(capsys, "pack", file, *options, "--as", "mm-refs")["images"]
    assert (image["offset"], image["length"]) == (span["offset"] - 1, span["length"] + 2)


def test_inspect_and_materialize_take_the_images_of_a_request(
    place: Path, stored: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"token_ids": [1], "features": None, "content_parts": content_parts(stored)}
    assert said(capsys, "inspect", json.dumps(request))["kind"] == "content_parts"
    options = ("--store", place, "--out", tmp_path / "out")
    assert len(said(capsys, "materialize", json.dumps(request), *options)) == 1
    request["content_parts"].append({"type": "image_url", "url": "https://example.org/a.png"})
    error = said(capsys, "materialize", json.dumps(request), *options, code=1)["error"]
    assert (error["code"], error["path"]) == ("not_a_ref", "$.content_parts[1].url")
    wrong = mm_refs(stored, {"image": [{"offset": 5, "length": LENGTH + 1}]})
    error = said(capsys, "materialize", json.dumps(wrong), *options, code=1)["error"]
    assert error["code"] == "placeholder_mismatch"


@pytest.mark.parametrize("name", ["messages", "prompt"])
def test_inspect_and_materialize_take_the_conversation_of_a_row(
    name: str, place: Path, stored: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = json.dumps({name: stored, "reward": 1})
    assert said(capsys, "inspect", row)["kind"] == "messages"
    options = ("--store", place, "--out", tmp_path / "out")
    assert len(said(capsys, "materialize", row, *options)) == 1
    row = json.dumps({name: [{"role": "user", "content": [{"type": "video_url"}]}]})
    for command in (("inspect", row), ("materialize", row, *options)):
        error = said(capsys, *command, code=1)["error"]
        assert (error["code"], error["path"]) == ("modality_unsupported", f"$.{name}[0].content[0]")


def test_an_image_in_an_array_is_named_by_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = json.dumps({"mm_refs": [[["https://example.org/a.png", 5, 9]]]})
    error = said(capsys, "materialize", row, "--out", tmp_path / "out", code=1)["error"]
    assert (error["code"], error["path"]) == ("not_a_ref", "$.mm_refs[0][0][0]")


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_convert_finds_refs_that_are_urls_also_where_they_are_escaped(
    dialect: str,
    indent: int | None,
    stored: list[Any],
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, there = tmp_path / "rows.json", tmp_path / "there.json"
    file.write_text(json.dumps({"rows": [row_of(stored)] * 2}, indent=indent))
    options = ("--store", place, "--run-id", samples.RUN_ID, "--config", "qwen3_vl")
    said(capsys, "convert", file, "--to", dialect, *options, "--out", there)
    for row in json.loads(there.read_text())["rows"]:
        (image,) = parse_mm_refs(row["mm_refs"]).images
        assert image.ref is not None
        assert image.ref.dialect == dialect
        assert parse_content_parts(row["content_parts"]).images[0].ref == image.ref
        assert row["messages"][0]["content"][0]["image_url"]["url"] == image.url
    if DIALECTS[dialect].encoding == "json":
        assert r'"mmraw:{\"family\"' in there.read_text()
    said(capsys, "convert", there, "--to", "v3", *options, "--in-place")
    (row, _) = json.loads(there.read_text())["rows"]
    assert parse_ref(row["content_parts"][0]["url"]).mm_hash == ADAPTER.describe(PNG).mm_hash


@pytest.mark.parametrize("processes", ["1", "2"])
def test_offload_and_inline_move_the_image_and_leave_a_ref(
    processes: str, rollouts: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--store", place, "--in-place", "-p", processes)
    (report,) = said(capsys, "offload", rollouts, *options)["files"]
    assert (report["offloaded"], report["unchanged"], report["images"]) == (3, 6, 3)
    for row in rows_in(rollouts):
        (image,) = parse_mm_refs(row["mm_refs"]).images
        assert image.ref is not None
        assert (image.ref.is_inline, image.ref.run_id) == (False, samples.RUN_ID)
    (report,) = said(capsys, "inline", rollouts, *options)["files"]
    assert (report["inlined"], report["refused"], report["duplicates"]) == (9, 0, 8)
    assert rows_in(rollouts) == [row_of(inline())] * 3


def test_refs_of_other_runs_and_of_dialects_without_both_sources_stay(
    place: Path, stored: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refs = [
        samples.ref(run_id="elsewhere"),
        samples.ref("v2"),
        samples.ref("unversioned-data"),
        samples.ref("bare-uri"),
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(refs) + "\n")
    options = ("--store", place, "--run-id", samples.RUN_ID, "--in-place")
    for command in ("inline", "offload"):
        (report,) = said(capsys, command, file, *options)["files"]
        assert (report["unchanged"], report["refused"]) == (4, 0)
    assert rows_in(file) == [refs]


def test_offloading_compares_the_image_with_its_ref(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = samples.ref(raw_image_id=None, raw_uri=samples.data_url(samples.PNG))
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"content_parts": [{"type": "image_url", "url": wrong}]}) + "\n")
    (report,) = said(capsys, "offload", file, "--store", place, "--in-place", code=1)["files"]
    assert report["refused_by_code"] == {"hash_mismatch": 1}
    assert list(LocalStore(place).list()) == []


@pytest.mark.parametrize("name", ["messages", "content_parts", "mm_refs"])
@pytest.mark.parametrize("dialect", ["v2", "v3", "unversioned-json-uri", "bare-uri"])
def test_fsck_finds_and_gc_keeps_what_urls_name(
    name: str,
    dialect: str,
    stored: list[Any],
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = LocalStore(place)
    (kept,) = store.list()
    lost = store.put(samples.JPEG)
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({name: row_of(stored)[name]}) + "\n")
    options = ("--store", place, "--run-id", samples.RUN_ID, "--config", "qwen3_vl")
    said(capsys, "convert", file, "--to", dialect, *options, "--in-place")
    at = ("--store", place)
    said(capsys, "store", "gc", file, *at, "--older-than", "0s", "--delete")
    assert list(store.list()) == [kept]
    assert lost != kept
    said(capsys, "store", "fsck", file, *at)
    store.delete(kept)
    said(capsys, "store", "fsck", file, *at, code=1)
