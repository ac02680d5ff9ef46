"""convert, offload and inline: files of any size, whole or not at all."""

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import samples
from samples import JPEG, PNG, data_url

from mmraw_protocol import parse_ref
from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.stores.convert import convert_ref

IMAGES = vectors_folder() / "images"
ADAPTER = get_adapter("qwen_vl")


def ref(number: int = 0, dialect: str = "v2", **changes: Any) -> str:
    fields: dict[str, Any] = {
        "fingerprint": ADAPTER.fingerprint(dialect),
        "mm_hash": f"{number:032x}",
        "payload": {"image_grid_thw": [[1, 4, 6]]},
        "raw_image_id": f"{number:064x}.png",
    }
    return samples.ref(dialect, **(fields | changes))


def run(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> dict[str, Any]:
    """The report's row of the one file."""
    assert main([*map(str, args), "--json"]) == code
    (row,) = json.loads(capsys.readouterr().out)["files"]
    return row


def only(folder: Path, *names: str) -> None:
    """Nothing else was left in the folder."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    """Lines of several shapes with refs of several dialects in them."""
    lines = [
        json.dumps({"id": n, "deep": [{"r": [ref(n)]}], "text": f'not "{ref(n)}"', "x": [1, 2.50]})
        for n in range(500)
    ]
    lines[3] = '{"spelt": "\\u006dmraw:' + ref(3)[6:] + '",  "pi": 3.140}'
    lines[4] = json.dumps(convert_ref(ref(4), "v1"))
    lines[5] = ref(5)
    lines[6] = ""
    file = tmp_path / "old.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VF_RENDERER_IMAGE_OFFLOAD_DIR", "PRIME_RL_RUN_DIR", "RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_convert_rewrites_refs_and_nothing_else(
    rollouts: Path, processes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    new = rollouts.with_name("new.jsonl")
    row = run(capsys, "convert", rollouts, "--out", new, "--processes", processes)
    assert row["written"]
    assert (row["converted"], row["unchanged"], row["refused"]) == (499, 0, 0)
    before, after = (path.read_text().split("\n") for path in (rollouts, new))
    assert after[3] == '{"spelt": "' + convert_ref(ref(3)) + '",  "pi": 3.140}'
    assert after[5] == convert_ref(ref(5))
    for number in (0, 7, 499):
        assert after[number] == before[number].replace(
            f'[{{"r": ["{ref(number)}"]}}]', f'[{{"r": ["{convert_ref(ref(number))}"]}}]'
        )
        assert after[number] != before[number]
    again = run(capsys, "convert", new, "--dry-run")
    assert (again["converted"], again["unchanged"]) == (0, 499)
    back = run(capsys, "convert", new, "--in-place", "--to", "v2")
    assert back["converted"] == 499
    assert new.read_text().split("\n")[7:] == before[7:]
    only(rollouts.parent, "old.jsonl", "new.jsonl")


@pytest.mark.parametrize("indent", [None, 1])
def test_convert_takes_one_document_over_many_lines(
    indent: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"rows": [{"r": ref(n)} for n in range(100)]}, indent=indent))
    before = file.read_text()
    assert run(capsys, "convert", file, "--in-place", "-p", "2")["converted"] == 100
    expected = before
    for number in range(100):
        expected = expected.replace(ref(number), convert_ref(ref(number)))
    assert file.read_text() == expected


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_refused_ref_stops_everything_or_is_kept(
    rollouts: Path, processes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = ref(7)[:-4]
    rollouts.write_text(rollouts.read_text().replace(f'["{ref(7)}"]', f'["{bad}"]'))
    new = rollouts.with_name("new.jsonl")
    options = ["convert", rollouts, "--out", new, "-p", processes]
    row = run(capsys, *options, code=1)
    assert not row["written"]
    assert row["refused_by_code"] == {"invalid_base64": 1}
    assert (row["refusals"][0]["line"], row["refusals"][0]["byte"]) == (8, 27)
    only(rollouts.parent, "old.jsonl")
    row = run(capsys, *options, "--on-error", "keep", code=1)
    assert (row["written"], row["converted"], row["refused"]) == (True, 498, 1)
    assert f'["{bad}"]' in new.read_text()
    assert main(["convert", str(rollouts), "--dry-run"]) == 1
    shown = capsys.readouterr().out
    assert "old.jsonl:8:27: refused: invalid_base64" in shown
    assert bad not in shown


def test_refs_to_processed_features_are_never_kept_without_a_word(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts.write_text(rollouts.read_text() + '{"ref": "mmfile:v1:x"}\n')
    row = run(capsys, "convert", rollouts, "--out", rollouts.with_name("new.jsonl"), code=1)
    assert (row["written"], row["refused_by_code"]) == (False, {"unsupported_dialect": 1})


def test_a_broken_document_leaves_no_output(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rollouts.read_text()
    for broken in (before[:-5], before + "[1", before.replace('"x"', '"x', 1), before + "\x00"):
        rollouts.write_text(broken)
        for options in (["--in-place"], ["--out", rollouts.with_name("new.jsonl"), "-p", "2"]):
            row = run(capsys, "convert", rollouts, *options, code=1)
            assert row["error"]["code"] == "invalid_json"
            assert "line " in row["error"]["message"]
            assert not row["written"]
            assert rollouts.read_text() == broken
            only(rollouts.parent, "old.jsonl")


def test_conversions_that_need_something_say_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "refs.txt"
    runless = convert_ref(ref(1), "v3-runless", run_id="exp42")
    file.write_text(f"{runless}\n")
    row = run(capsys, "convert", file, "--dry-run", code=1)
    assert "run_id" in row["refusals"][0]["message"]
    assert run(capsys, "convert", file, "-i", "--run-id", "exp42")["converted"] == 1
    assert parse_ref(file.read_text().strip()).run_id == "exp42"
    assert main(["convert", str(file), "--to", "v1", "--config", "qwen2_vl", "-n"]) == 1
    assert "fingerprint" in capsys.readouterr().out


def test_converting_can_move_images_into_a_store_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ADAPTER.describe(PNG)
    inline = ref(
        0,
        "v3",
        raw_image_id=None,
        raw_uri=data_url(PNG),
        mm_hash=found.mm_hash,
        payload={"image_grid_thw": [list(found.grid_thw)]},
    )
    file = tmp_path / "refs.jsonl"
    file.write_text(json.dumps([inline, inline]) + "\n")
    before = file.read_bytes()
    store = tmp_path / "images"
    options = ["--in-place", "--store", store]
    assert run(capsys, "convert", file, *options, "--storage", "offload")["converted"] == 2
    (name,) = LocalStore(store).list()
    assert parse_ref(json.loads(file.read_text())[0]).raw_image_id == name
    assert run(capsys, "convert", file, *options, "--storage", "inline")["converted"] == 2
    assert file.read_bytes() == before


def test_standard_input_to_standard_output(
    rollouts: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    expected = rollouts.with_name("new.jsonl")
    assert main(["convert", str(rollouts), "--out", str(expected)]) == 0
    capfdbinary.readouterr()
    for data, code in ((rollouts.read_bytes(), 0), (rollouts.read_bytes() + b"[", 1)):
        done = subprocess.run(
            [sys.executable, "-m", "mmraw_protocol.cli", "convert", "--json"],
            input=data,
            capture_output=True,
        )
        assert done.returncode == code
        assert done.stdout == (b"" if code else expected.read_bytes())
        assert json.loads(done.stderr)["files"][0]["written"] is (code == 0)


def test_called_wrongly_ends_with_two(rollouts: Path) -> None:
    for arguments in (
        ["convert", rollouts, rollouts],
        ["convert", "-", "--in-place"],
        ["convert", rollouts, "--processes", "0"],
        ["convert", rollouts, "--to", "v9"],
        ["convert", rollouts, "--in-place", "--dry-run"],
    ):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        assert caught.value.code == 2


def test_the_output_keeps_mode_and_link_and_needs_a_folder(
    rollouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts.chmod(0o604)
    link = tmp_path / "link.jsonl"
    link.symlink_to(rollouts)
    run(capsys, "convert", link, "--in-place")
    assert link.is_symlink()
    assert "mmraw:v3:" in rollouts.read_text()
    assert stat.S_IMODE(rollouts.stat().st_mode) == 0o604
    for target in (tmp_path, tmp_path / "missing" / "x"):
        assert run(capsys, "convert", rollouts, "--out", target, code=1)["error"]["code"]
    only(tmp_path, "old.jsonl", "link.jsonl")
    assert run(capsys, "convert", tmp_path / "none", "-n", code=1)["error"]["code"] == (
        "source_unavailable"
    )


@pytest.mark.parametrize(
    ("number", "processes"),
    [(signal.SIGKILL, "1"), (signal.SIGTERM, "1"), (signal.SIGINT, "1"), (signal.SIGTERM, "2")],
)
def test_a_killed_conversion_leaves_the_old_file_whole(
    number: signal.Signals, processes: str, rollouts: Path
) -> None:
    rollouts.write_text(rollouts.read_text() * 40)
    before = rollouts.read_bytes()
    command = [sys.executable, "-m", "mmraw_protocol.cli", "convert", "-i", "-p", processes]
    child = subprocess.Popen(
        [*command, str(rollouts)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # It is at work as soon as it has written something under a temporary name.
    while child.poll() is None:
        temporary = [path for path in rollouts.parent.iterdir() if path.name.endswith(".tmp")]
        if temporary and temporary[0].stat().st_size:
            break
    child.send_signal(number)
    code = child.wait(timeout=60)
    assert code in (-number, 128 + number, 130)
    assert rollouts.read_bytes() == before
    if number != signal.SIGKILL:
        only(rollouts.parent, "old.jsonl")


@pytest.fixture
def conversation(tmp_path: Path) -> Path:
    """Rollouts whose turns repeat their images, with text that only talks of data: URLs."""
    picture = {"type": "image_url", "image_url": {"url": data_url(PNG)}}
    photo = {"type": "image", "image": data_url(JPEG, "jpeg")}
    prose = {"type": "text", "text": "data:image/png is how such a URL begins"}
    lines = [
        {"messages": [{"role": "user", "content": [picture, prose]}], "reward": 0.5},
        {"turns": [[picture, photo], [picture]], "item": {"raw_uri": data_url(PNG)}},
        {"none": True},
    ]
    file = tmp_path / "rollouts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("processes", ["1", "2"])
def test_offload_stores_each_image_once_and_inline_brings_it_back(
    processes: str, conversation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = conversation.read_bytes()
    store = conversation.parent / "run_exp42" / "assets" / "images"
    options = ["--store", store, "--in-place", "-p", processes]
    row = run(capsys, "offload", conversation, *options)
    assert (row["offloaded"], row["unchanged"], row["images"], row["duplicates"]) == (4, 2, 4, 2)
    assert row["distinct_bytes"] == len(PNG) + len(JPEG)
    assert row["bytes_saved"] == len(before) - len(conversation.read_bytes()) > 0
    assert len(list(LocalStore(store).list())) == 2
    first = json.loads(conversation.read_text().split("\n")[0])
    url = first["messages"][0]["content"][0]["image_url"]["url"]
    assert Path(url.removeprefix("file://")).read_bytes() == PNG
    # An envelope is a whole: its source is converted with it or not at all.
    assert data_url(PNG) in conversation.read_text()
    row = run(capsys, "inline", conversation, *options)
    assert (row["inlined"], row["images"], row["duplicates"]) == (4, 4, 2)
    assert conversation.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,", "empty_source"),
        ("data:image/png;base64,AAA", "invalid_base64"),
        ("data:image/png;base64,iVBORw0KGgo=", "image_undecodable"),
        ("data:image/png;base64,aGVsbG8=", "image_undecodable"),
        ("data:image/png;base64,Qk1oZWxsbwAA", "unsupported_format"),
        ("data:image/svg+xml,%3Csvg%3E", "invalid_raw_uri"),
        ("DATA:image/png;base64,aGVsbG8=", "invalid_raw_uri"),
    ],
)
def test_data_that_is_no_image_is_refused_and_nothing_is_rewritten(
    url: str, code: str, conversation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation.write_text(conversation.read_text() + json.dumps({"image": url}) + "\n")
    before = conversation.read_bytes()
    store = conversation.parent / "images"
    row = run(capsys, "offload", conversation, "--store", store, "-i", code=1)
    assert list(row["refused_by_code"]) == [code]
    assert row["refusals"][0]["line"] == 4
    assert conversation.read_bytes() == before
    row = run(capsys, "offload", conversation, "--dry-run", code=1)
    assert (row["images"], row["refused"]) == (4, 1)
    row = run(capsys, "offload", conversation, "--store", store, "-i", "--on-error", "keep", code=1)
    assert (row["offloaded"], row["refused"]) == (4, 1)
    assert url in conversation.read_text()


def test_inline_needs_every_image_of_the_store_and_touches_no_other_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(tmp_path / "images")
    name = store.put(PNG)
    file = tmp_path / "r.json"
    others = ["file:///elsewhere/a.png", store.url(name) + "/x", store.url(name)[:-60], "data:,"]
    file.write_text(json.dumps([store.url(name), *others[:2]]))
    options = ["--store", store.root, "-i"]
    assert run(capsys, "inline", file, *options)["inlined"] == 1
    assert json.loads(file.read_text()) == [data_url(PNG), *others[:2]]
    file.write_text(json.dumps([store.url("0" * 64 + ".png")]))
    row = run(capsys, "inline", file, *options, code=1)
    assert row["refused_by_code"] == {"source_unavailable": 1}
    assert main(["inline", str(file), "--store", str(tmp_path / "none"), "-n"]) == 1
    assert main(["offload", str(file), "-i"]) == 1
    assert "--store" in capsys.readouterr().err
