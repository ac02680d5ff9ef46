"""The command that holds an implementation to the protocol: baselines, reports, exit codes."""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from test_conformance import command

from mmraw_protocol.cli import main
from mmraw_protocol.conformance.vectors import Vector, read_vectors

#: An entry of a baseline.
WHY, LINK = "it accepts every name", "https://example.org/issues/"
ENTRY = {"status": "failed", "reason": WHY, "link": LINK}


@functools.cache
def vectors() -> list[Vector]:
    """Every vector, read once."""
    return list(read_vectors())


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmraw_protocol.cli.conformance.read_vectors", vectors)


def mmraw(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any]:
    code = main(["conformance", "--json", *args])
    return code, json.loads(capsys.readouterr().out)


def test_this_implementation_passes_its_own_vectors() -> None:
    program = Path(sys.executable).parent / "mmraw"
    serve = [str(program), "conformance", "serve"]
    command = [str(program), "conformance", "run", "--strict-codes", "--json", "--", *serve]
    done = subprocess.run(command, capture_output=True, check=True)
    told = json.loads(done.stdout)
    assert told["counts"]["passed"] == len(vectors())
    assert told["faults"] == told["failures"] == []


def test_the_baseline_holds_what_is_known_and_fails_when_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "baseline.json"
    only = ["--filter", "check_raw_image_id:*/acc-*"]
    wrong, right = command("accepts"), command("honest")
    writing = [*only, "--write-baseline", str(file), "--reason", WHY, "--link", LINK]
    code, told = mmraw(capsys, "run", *writing, "--", *wrong)
    assert code == 1
    assert told["counts"]["failed"] == len(told["failures"]) > 0
    entries = json.loads(file.read_text())["known"]
    assert set(entries) == {row["id"] for row in told["failures"]}
    assert all(e == {"status": "failed", "reason": WHY, "link": LINK} for e in entries.values())
    code, told = mmraw(capsys, "run", *only, "--baseline", str(file), "--", *wrong)
    assert (code, told["failures"], told["baseline"]["stale"]) == (0, [], {})
    code, told = mmraw(capsys, "run", *only, "--baseline", str(file), "--", *right)
    assert code == 1
    assert set(told["baseline"]["stale"]) == set(json.loads(file.read_text())["known"])
    file.write_text(json.dumps({"version": 2, "known": {"no/such": ENTRY}}))
    code, told = mmraw(capsys, "run", *only, "--baseline", str(file), "--", *right)
    assert (code, told["baseline"]["stale"]) == (1, {"no/such": "no such vector"})


def test_an_expected_failure_keeps_its_reason_and_reports_show_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, junit, page = (tmp_path / name for name in ("known.json", "junit.xml", "page.html"))
    args = ["run", "--filter", "check_raw_image_id:*/acc-*", "--write-baseline", str(file)]
    wrong = command("accepts")
    mmraw(capsys, *args, "--reason", WHY, "--link", LINK, "--", *wrong)
    first = json.loads(file.read_text())
    name = next(iter(first["known"]))
    first["known"][name] |= {"reason": "a reason of its own", "link": f"{LINK}1"}
    del first["known"][next(reversed(first["known"]))]
    file.write_text(json.dumps(first))
    mmraw(capsys, *args, "--reason", "later", "--link", LINK, "--", *wrong)
    second = json.loads(file.read_text())["known"]
    assert [entry for entry in second.values() if entry["reason"] == "later"]
    assert {n: second[n] for n in first["known"]} == first["known"]
    reports = ["--baseline", str(file), "--junit", str(junit), "--html", str(page)]
    assert mmraw(capsys, *args[:3], *reports, "--", *wrong)[0] == 0
    assert f"expected failure: a reason of its own ({LINK}1)" in junit.read_text()
    assert f'a reason of its own (<a href="{LINK}1">' in page.read_text()


@pytest.mark.parametrize(("why", "link"), [("", LINK), (" ", LINK), (WHY, ""), (WHY, "issue 1")])
def test_a_baseline_is_not_written_without_a_reason_and_a_link(
    why: str, link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "baseline.json"
    args = ["run", "--filter", "check_raw_image_id:*/acc-*", "--write-baseline", str(file)]
    args += ["--reason", why, "--link", link]
    code, told = mmraw(capsys, *args, "--", *command("accepts"))
    assert (code, told["error"]["code"]) == (1, "invalid_value")
    assert not file.exists()


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        {"version": 1, "known": {"a/b": "failed"}},
        {"version": 2, "known": {"a/b": "failed"}},
        {"version": 2, "known": {"a/b": {**ENTRY, "status": "passed"}}},
        {"version": 2, "known": {"a/b": {**ENTRY, "reason": ""}}},
        {"version": 2, "known": {"a/b": {**ENTRY, "link": "issue 1"}}},
        {"version": 2, "known": {"a/b": {"status": "failed", "reason": WHY}}},
        {"version": 2, "known": {"a/b": {**ENTRY, "extra": 1}}},
    ],
)
def test_a_broken_baseline_is_refused(
    document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    code, told = mmraw(capsys, "run", "--baseline", str(file), "--", *command("honest"))
    assert code == 1
    assert told["error"]["code"] in ("invalid_json", "invalid_value")


def test_reports_hold_every_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, page = tmp_path / "junit.xml", tmp_path / "report.html"
    only = ["--filter", "check_raw_image_id", "--junit", str(junit), "--html", str(page)]
    code, told = mmraw(capsys, "run", *only, "--", *command("accepts"))
    assert code == 1
    suite = ET.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert int(suite.get("failures", "0")) == told["counts"]["failed"] == len(told["failures"])
    assert len(suite.findall("testcase")) == sum(told["counts"].values())
    text = page.read_text(encoding="utf-8")
    assert all(row["id"] in text for row in told["failures"])
    assert "http" not in text
    assert "<script" not in text
    code, told = mmraw(capsys, "run", *only, "--", *command("skips"))
    assert code == 1, "skipping everything is no pass"


def test_no_skips_fails_what_is_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--filter", "check_raw_image_id:hostile/acc*", "--filter", "parse_ref:refs/A*"]
    code, told = mmraw(capsys, "run", *args, "--", *command("honest"))
    assert code == 0
    assert told["counts"]["skipped"] > 0
    assert mmraw(capsys, "run", *args, "--no-skips", "--", *command("honest"))[0] == 1


def test_what_cannot_be_started_ends_with_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert mmraw(capsys, "run", "--", "no-such-command-anywhere")[0] == 3
    code, told = mmraw(capsys, "run", "--", *command("version_two"))
    assert (code, told["cannot_start"]["reason"]) == (3, "wrong_version")
    assert main(["conformance", "run", "--", *command("start_crash")]) == 3
    assert "assertion failed" in capsys.readouterr().err


def test_the_command_prints_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["conformance", "run", "--filter", "parse_data_uri", "--", *command("accepts")]) == 1
    )
    out = capsys.readouterr().out
    assert "wrongly_accepted: accepted what must be refused" in out
    assert "not passed" in out
    assert main(["conformance", "run", "--filter", "nothing", "--", "x"]) == 1


def test_failures_are_summed_by_section_and_the_simplest_vector_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    options = ["--filter", "check_raw_image_id", "--html", str(page)]
    _, told = mmraw(capsys, "run", *options, "--", *command("accepts"))
    asked = {vector.id: vector for vector in vectors()}
    sizes = [len(json.dumps(asked[row["id"]].input)) for row in told["failures"]]
    assert sizes == sorted(sizes)
    assert len(sizes) > 5
    group = told["by_section"][0]
    assert sum(row["failures"] for row in told["by_section"]) == len(sizes)
    first = next(row for row in told["failures"] if asked[row["id"]].spec == group["section"])
    assert (group["simplest"], group["reason"]) == (first["id"], "wrongly_accepted")
    main(["conformance", "run", *options, "--", *command("accepts")])
    assert f"{group['section']}  " in capsys.readouterr().out
    text = page.read_text()
    assert f'<a href="#{group["simplest"]}">' in text
    # On a narrow screen each cell stands on a line of its own, with the name of its column.
    assert '<td data-name="reason">' in text
    assert "@media (max-width: 40rem)" in text


@pytest.mark.parametrize(("name", "code"), [("honest", 0), ("accepts", 1)])
def test_a_vector_is_shown_with_its_input_what_is_expected_and_what_came(
    name: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    vector = next(
        vector
        for vector in vectors()
        if vector.op == "check_raw_image_id" and vector.input["raw_image_id"] == ".tmp"
    )
    found, told = mmraw(capsys, "run", "--show", vector.id, "--", *command(name))
    assert found == code
    assert (told["input"], told["expected"]["error"]) == (vector.input, vector.error)
    assert told["got"]["ok"] is (name == "accepts")
    assert told["section"] == vector.spec
    main(["conformance", "run", "--show", vector.id, "--", *command(name)])
    shown = capsys.readouterr().out
    assert all(f"{part}: " in shown for part in ("input", "expected", "got"))
    assert mmraw(capsys, "run", "--show", "no/such", "--", *command(name))[0] == 1
