"""The command line, as people and scripts call it."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import __version__
from mmraw_protocol.cli import COMMANDS, main
from mmraw_protocol.cli.parsing import GROUPS
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire.schemas import bundles, schemas

IMAGES = vectors_folder() / "images"
JPEG = IMAGES / "rgb_320x200.jpg"


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """A conversation with two pictures."""
    parts = [
        {"type": "image_url", "image_url": {"url": JPEG.as_uri()}},
        {"type": "image", "image": str(IMAGES / "gray_150x90.png")},
        {"type": "text", "text": "compare"},
    ]
    file = tmp_path / "messages.json"
    file.write_text(json.dumps([{"role": "user", "content": parts}]))
    return file


def run(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    """Standard output of a command that ends with `code`."""
    assert main(list(args)) == code
    return capsys.readouterr().out


def run_json(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    """The JSON that a command prints."""
    return json.loads(run(capsys, *args, "--json", code=code))


@pytest.mark.parametrize("storage", ["offload", "inline"])
@pytest.mark.parametrize("family", ["qwen_vl", "kimi_k25"])
def test_pack_then_inspect_then_materialize(
    family: str, storage: str, messages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "run_exp42" / "assets" / "images"
    options = ["--family", family, "--storage", storage, "--store", str(store)]
    body = run(capsys, "pack", str(messages), *options)
    features = tmp_path / "features.json"
    features.write_text(body)
    shown = run_json(capsys, "inspect", str(features))
    assert shown["kind"] == "features body"
    assert len(shown["facts"]) == 2
    out = tmp_path / "out"
    where = ["--store", str(store)] if storage == "offload" else []
    rows = run_json(capsys, "materialize", str(features), *where, "--out", str(out))
    assert [(row["width"], row["height"]) for row in rows] == [(320, 200), (150, 90)]
    assert len(list(out.iterdir())) == 2


def test_pack_takes_offsets_and_dialect(
    messages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--store", str(tmp_path / "i"), "--dialect", "v2", "--run-id", "run_7"]
    body = json.loads(run(capsys, "pack", str(messages), *options, "--offsets", "5,300"))
    assert [entry["offset"] for entry in body["mm_placeholders"]["image"]] == [5, 300]
    assert body["kwargs_data"]["image"][0].startswith("mmraw:v2:7:")
    assert main(["pack", str(messages), *options, "--offsets", "5"]) == 1
    assert main(["pack", str(messages), *options, "--offsets", "a,b"]) == 1


def test_inspect_explains_refs_and_envelopes(capsys: pytest.CaptureFixture[str]) -> None:
    ref = schemas()["urn:mmraw:ref:v3"]["$defs"]["RefV3"]["examples"][0]
    from mmraw_protocol.testing import ref_text

    text = ref_text(ref, "v3")
    assert "fingerprint" in run(capsys, "inspect", text)
    assert run_json(capsys, "inspect", text)["value"] == ref
    item = schemas()["urn:mmraw:item:v1"]["$defs"]["ItemV1"]["examples"][0]
    assert run_json(capsys, "inspect", json.dumps(item))["kind"] == "envelope, dialect v1"
    assert main(["inspect", text[:-3]]) == 1
    assert capsys.readouterr().out.startswith("refused: ")
    assert run_json(capsys, "inspect", "mmraw:v9:x", code=1)["error"]["code"]


def test_layout_of_sizes_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    rows = run_json(capsys, "layout", "640x480", str(JPEG))
    tokens = {row["family"]: row["num_tokens"] for row in rows if row["width"] == 640}
    assert set(tokens) == set(FAMILIES)
    assert (tokens["qwen_vl"], tokens["kimi_k25"], tokens["gemma4"]) == (300, 414, 266)
    assert (
        run_json(capsys, "layout", "640x480", "--config", "qwen2_vl", "--family", "qwen_vl")[0][
            "num_tokens"
        ]
        == 391
    )
    assert "aspect_ratio" in run(capsys, "layout", "1000x1", code=1)


def test_layout_of_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Piped:
        buffer = io.BytesIO(JPEG.read_bytes())

    monkeypatch.setattr("sys.stdin", Piped)
    piped = run_json(capsys, "layout", "-")
    named = run_json(capsys, "layout", str(JPEG))
    assert len(piped) == len(FAMILIES)
    assert [{**row, "image": ""} for row in piped] == [{**row, "image": ""} for row in named]


def test_materialize_takes_a_whole_request(
    messages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = json.loads(run(capsys, "pack", str(messages), "--storage", "inline"))
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"model": "m", "token_ids": [1], "features": features}))
    rows = run_json(capsys, "materialize", str(request), "--out", str(tmp_path / "out"))
    assert [(row["width"], row["height"]) for row in rows] == [(320, 200), (150, 90)]
    features["kwargs_data"]["image"][1] = "mmraw:v9:"
    request.write_text(json.dumps({"features": features}))
    error = json.loads(
        run(capsys, "materialize", str(request), "--out", str(tmp_path / "out"), "--json", code=1)
    )
    assert error["error"]["path"] == "$.features.kwargs_data.image[1]"


def test_validate_finds_everything_wherever_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = "mmraw:v2:r:f:0123456789abcdef:image:0123456789abcdef:a.png:e30"
    lines = [
        {"deep": [{"here": good}], "other": "text mmraw: inside is no ref"},
        {"kind": "prime_raw_mm_item", "version": 2},
        {"features": {"kwargs_data": {}, "mm_hashes": {}, "mm_placeholders": {}}},
        {"ref": good + "x:"},
    ]
    file = tmp_path / "rollouts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + good + "\n{broken\n")
    report = run_json(capsys, "validate", str(file), code=1)
    assert report["checked"] == {"ref": 3, "envelope": 1, "features": 1, "document": 1}
    assert report["refused"] == 3
    assert [row["line"] for row in report["refusals"]] == [2, 4, 6]
    text = run(capsys, "validate", str(file), code=1)
    assert "rollouts.jsonl:2" in text
    assert "refused 3" in text
    pretty = tmp_path / "pretty.json"
    pretty.write_text(json.dumps(lines[:1], indent=2))
    assert "checked 1 ref; refused 0" in run(capsys, "validate", str(pretty))
    assert main(["validate", str(tmp_path / "missing")]) == 1


def test_validate_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'"mmraw:v9:x"\n')))
    assert "unsupported_dialect" in run(capsys, "validate", code=1)


def test_schemas_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {row["id"] for row in run_json(capsys, "schema")}
    assert listed == set(schemas())
    assert json.loads(run(capsys, "schema", "ref:v3")) == schemas()["urn:mmraw:ref:v3"]
    assert main(["schema", "nothing"]) == 1


def test_a_bundle_is_printed_by_the_name_that_the_list_gives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = {row["id"]: row["bundle"] for row in run_json(capsys, "schema")}
    assert {name for name in listed.values() if name} == set(bundles())
    assert listed["urn:mmraw:common:v1"] is None
    for name in (listed["urn:mmraw:ref:v3"], "ref:v3", "urn:mmraw:ref:v3"):
        assert json.loads(run(capsys, "schema", "--bundle", name)) == bundles()["ref-v3"]
    assert main(["schema", "--bundle", "common-v1"]) == 1
    assert "expected the name of a bundle, got another" in capsys.readouterr().err
    assert main(["schema", "ref:v3", "--bundle", "ref-v3"]) == 1


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"example: mmraw {name}" in " ".join(capsys.readouterr().out.split())


def test_called_wrongly_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["no-such-command"], ["layout"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_the_installed_command_runs() -> None:
    command = [str(Path(sys.executable).parent / "mmraw"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"mmraw-protocol {__version__}"


def test_the_short_help_has_every_command_in_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    named = [name for commands in GROUPS.values() for name in commands]
    assert sorted(named) == sorted(COMMANDS)
    with pytest.raises(SystemExit):
        main(["-h"])
    text = capsys.readouterr().out
    assert text.index("On call:") < text.index("  inspect  ") < text.index("Files:")
    assert len(text.splitlines()) < 45
    assert max(map(len, text.splitlines())) <= 90


def test_the_long_help_has_every_command_on_one_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = run_json(capsys, "help")
    assert {"", *COMMANDS} <= set(pages)
    assert "store fsck" in pages
    assert "usage: mmraw inspect" in run(capsys, "help", "inspect")
    assert main(["help", "nothing"]) == 1
    shown: list[str] = []
    monkeypatch.setattr("pydoc.pager", shown.append)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    main(["help"])
    assert "usage: mmraw validate" in shown[0]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["inspct", "x"], "inspect"),
        (["diff-confg", "a", "b"], "diff-config"),
        (["inspect", "x", "--stroe", "y"], "--store"),
        (["materialize", "x", "--run_id=y"], "--run-id"),
        (["completion", "fsh"], "fish"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_fish_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    script = run(capsys, "completion", "fish")
    for name in COMMANDS:
        assert f"-n __fish_use_subcommand -a {name} -d '" in script
    assert '-n "__fish_seen_subcommand_from inspect" -l store -rF -d ' in script
    assert "-l dialect -xa 'v3 v2'" in script or "-l dialect -xa 'v2 v3'" in script
    assert "__fish_seen_subcommand_from store; and __fish_seen_subcommand_from fsck" in script
    # Every line has its quotes in pairs.
    assert all(line.replace("\\'", "").count("'") % 2 == 0 for line in script.splitlines())
