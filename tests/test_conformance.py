"""Holding an implementation to the protocol: every way of being wrong, counted in its class."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mmraw_protocol.cli import main
from mmraw_protocol.conformance.answers import FAULTS, REASONS, difference
from mmraw_protocol.conformance.child import Child
from mmraw_protocol.conformance.runner import Options, Report, StartError, run
from mmraw_protocol.conformance.vectors import Vector, read_vectors

FAULTY = Path(__file__).parent / "conformance_faults" / "faulty.py"


def names(name: str) -> dict[str, Any]:
    return {"op": "check_raw_image_id", "input": {"raw_image_id": name}, "spec": "Fields"}


def named(name: str) -> dict[str, Any]:
    return {**names(name), "result": {"raw_image_id": name}}


#: 6 vectors of two operations; most faults show at the second alone.
VECTORS = [
    Vector(id="t/first", **named("a.png")),
    Vector(id="t/odd", **named("odd.png")),
    Vector(id="t/refused", **names(".b.png"), error={"code": "invalid_raw_image_id"}),
    Vector(
        id="t/data",
        op="parse_data_uri",
        input={"data_uri": "data:image/png;base64,AAAA"},
        result={"byte_count": 3},
        spec="Base64",
    ),
    Vector(id="t/fifth", **named("c.png")),
    Vector(id="t/last", **named("d.png")),
]
IDS = [vector.id for vector in VECTORS]
ALL_WRONG = dict.fromkeys(IDS, "failed: wrong_result")

#: An entry of a baseline.
WHY, LINK = "it accepts every name", "https://example.org/issues/"
ENTRY = {"status": "failed", "reason": WHY, "link": LINK}

#: Long where an answer comes, short where none does.
PATIENT = Options()
HASTY = Options(timeout=0.5, start_timeout=60)


def command(behaviour: str) -> list[str]:
    return [sys.executable, "-S", "-E", str(FAULTY), behaviour]


def ask(behaviour: str, options: Options = PATIENT, vectors: Sequence[Vector] = VECTORS) -> Report:
    return run(command(behaviour), vectors, options)


def verdicts(report: Report) -> dict[str, str]:
    """id -> reason of everything that did not pass."""
    assert [found.id for found in report.outcomes] == IDS
    for found in report.outcomes:
        assert found.reason in REASONS[found.status] or found.status == "passed"
    for fault in report.faults:
        assert fault.kind in FAULTS
    return {
        found.id: f"{found.status}: {found.reason}"
        for found in report.outcomes
        if found.status != "passed"
    }


def faults(report: Report) -> set[str]:
    return {fault.kind for fault in report.faults}


@pytest.mark.parametrize("behaviour", ["honest", "loud", "other_codes"])
def test_an_honest_implementation_passes(behaviour: str) -> None:
    report = ask(behaviour)
    assert verdicts(report) == {}
    assert report.faults == ()
    assert report.counts == {"passed": 6, "failed": 0, "skipped": 0, "errored": 0}
    assert report.implementation["name"] == "faulty"


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("accepts", {**ALL_WRONG, "t/refused": "failed: wrongly_accepted"}),
        ("refuses", {i: "failed: wrongly_refused" for i in IDS if i != "t/refused"}),
        ("wrong_result", {"t/odd": "failed: wrong_result"}),
        ("float_for_int", {"t/data": "failed: wrong_result"}),
        ("skips", dict.fromkeys(IDS, "skipped: skipped")),
        ("skips_one", {"t/odd": "skipped: skipped"}),
        ("lists_less", {i: "skipped: op_not_listed" for i in IDS if i != "t/data"}),
        ("extra_key", {"t/odd": "errored: wrong_shape"}),
        ("ok_is_one", {"t/odd": "errored: wrong_shape"}),
        ("result_is_text", {"t/odd": "errored: wrong_shape"}),
        ("error_is_text", {"t/odd": "errored: wrong_shape"}),
        ("no_message", {"t/odd": "errored: wrong_shape"}),
        ("is_a_list", {"t/odd": "errored: wrong_shape"}),
        ("wrong_seq", {"t/odd": "errored: wrong_seq"}),
        ("seq_as_float", {"t/odd": "errored: wrong_seq"}),
        ("rubbish", {"t/odd": "errored: not_json"}),
        ("not_utf8", {"t/odd": "errored: not_json"}),
        ("not_a_number", {"t/odd": "errored: not_json"}),
        ("deep", {"t/odd": "errored: not_json"}),
        ("prints_before", {"t/odd": "errored: not_json"}),
        ("endless_line", {"t/odd": "errored: too_long"}),
        ("crashes", {"t/odd": "errored: crashed"}),
        ("crashes_always", dict.fromkeys(IDS, "errored: crashed")),
        ("cut_off", {"t/odd": "errored: crashed"}),
        ("closes_output", {"t/odd": "errored: crashed"}),
        ("flood", dict.fromkeys(IDS, "errored: not_json")),
    ],
)  # fmt: skip
def test_a_fault_is_put_down_to_its_vector_alone(behaviour: str, expected: dict[str, str]) -> None:
    report = ask(behaviour)
    assert verdicts(report) == expected
    assert report.faults == ()


@pytest.mark.parametrize("behaviour", ["hangs", "says_nothing"])
def test_a_missing_answer_is_waited_for_and_passed_over(behaviour: str) -> None:
    report = ask(behaviour, HASTY)
    assert verdicts(report) == {"t/odd": "errored: no_answer"}
    assert report.faults == ()


def test_answers_out_of_order_are_seen() -> None:
    report = ask("swapped", HASTY)
    assert set(verdicts(report).values()) == {"errored: no_answer"}
    assert "wrong_seq" in report.outcomes[0].detail


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("twice", "out_of_step"),
        ("ends_early", "ended_early"),
        ("stop_four", "bad_stop"),
        ("stop_talks", "extra_output"),
    ],
)
def test_a_fault_of_no_single_vector_is_one_of_the_run(behaviour: str, kind: str) -> None:
    report = ask(behaviour)
    assert verdicts(report) == {}
    assert faults(report) - {"extra_output"} == {kind} - {"extra_output"}
    assert kind in faults(report)


@pytest.mark.parametrize(
    ("behaviour", "kind"), [("late_at_third", "late"), ("stop_never", "no_stop")]
)
def test_hanging_between_vectors_is_one_of_the_run(behaviour: str, kind: str) -> None:
    report = ask(behaviour, HASTY)
    assert verdicts(report) == {}
    assert faults(report) == {kind}


def test_an_implementation_that_changes_is_told_of() -> None:
    report = ask("changes")
    assert verdicts(report) == {"t/odd": "errored: crashed"}
    assert faults(report) == {"start_changed"}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("version_two", "wrong_version"),
        ("version_true", "wrong_version"),
        ("version_text", "wrong_version"),
        ("start_rubbish", "not_json"),
        ("start_shapeless", "wrong_shape"),
        ("start_unknown_op", "wrong_shape"),
        ("start_unknown_dialect", "wrong_shape"),
        ("start_families", "wrong_shape"),
        ("start_crash", "crashed"),
    ],
)
def test_a_start_that_lies_ends_the_run(behaviour: str, reason: str) -> None:
    with pytest.raises(StartError) as caught:
        ask(behaviour)
    assert caught.value.reason == reason


def test_a_start_that_hangs_or_does_not_exist_ends_the_run() -> None:
    with pytest.raises(StartError) as caught:
        ask("start_hang", Options(start_timeout=0.2))
    assert caught.value.reason == "no_answer"
    with pytest.raises(StartError) as caught:
        run(["no-such-command-anywhere"], VECTORS)
    assert caught.value.reason == "not_found"


def test_every_behaviour_is_tried() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    listed = re.findall(r'^    "(\w+)": ', FAULTY.read_text(encoding="utf-8"), re.M)
    behaviours = [name for name in listed if name not in ("name", "language", "version")]
    behaviours = [name for name in behaviours if name not in ("dialects", "families", "ops")]
    assert len(behaviours) > 40
    assert [name for name in behaviours if f'"{name}"' not in text] == []


def test_last_words_are_kept() -> None:
    report = ask("crashes")
    assert "assertion failed: grid" in report.outcomes[1].detail
    with pytest.raises(StartError) as caught:
        ask("start_crash")
    assert "assertion failed: grid" in caught.value.stderr


def test_too_many_starts_end_the_run() -> None:
    report = ask("crashes_always", Options(max_restarts=2))
    assert list(verdicts(report).values()).count("errored: not_run") >= 3
    assert report.counts["errored"] == 6


def test_strict_codes_fail_another_code() -> None:
    report = ask("other_codes", Options(strict_codes=True))
    assert verdicts(report) == {"t/refused": "failed: wrong_code"}


def test_jobs_share_the_vectors_and_keep_their_order() -> None:
    report = ask("crashes", Options(jobs=3))
    assert verdicts(report) == {"t/odd": "errored: crashed"}


def test_many_vectors_are_sent_ahead_with_exact_blame() -> None:
    many = [Vector(id=f"m/{n}", **named("odd.png" if n % 90 == 7 else "a.png")) for n in range(400)]
    report = ask("crashes", vectors=many)
    wrong = [found.id for found in report.outcomes if found.status == "errored"]
    assert wrong == [f"m/{n}" for n in range(400) if n % 90 == 7]
    assert report.counts["passed"] == 400 - len(wrong)
    assert report.faults == ()


def test_expected_results_are_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    honest = Child.send

    def spy(self: Child, line: bytes) -> None:
        sent.append(line)
        honest(self, line)

    monkeypatch.setattr(Child, "send", spy)
    ask("honest")
    requests = [json.loads(line) for line in sent]
    assert [request["cmd"] for request in requests] == ["start", *["run"] * 6, "stop"]
    for request in requests[1:-1]:
        assert set(request) == {"cmd", "seq", "op", "input"}
    # An id such as hostile/acc-… tells the verdict.
    assert b"t/" not in b"".join(sent)
    assert {type(request["seq"]) for request in requests[1:-1]} == {int, str}


def test_differences_name_their_place() -> None:
    assert difference({"a": [1, 2]}, {"a": [1, 2.0]}) == "$.a[1]: expected 2, got 2.0"
    assert difference({"a": 1}, {}) == "$.a: expected 1, got nothing"
    assert difference([1], [1, 2]) == "$: expected 1 values, got 2"
    assert "\\x1b" in difference("a", "\x1b[31m")


# The command


def mmraw(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any]:
    code = main(["conformance", "--json", *args])
    return code, json.loads(capsys.readouterr().out)


def test_this_implementation_passes_its_own_vectors() -> None:
    program = Path(sys.executable).parent / "mmraw"
    serve = [str(program), "conformance", "serve"]
    command = [str(program), "conformance", "run", "--strict-codes", "--json", "--", *serve]
    done = subprocess.run(command, capture_output=True, check=True)
    told = json.loads(done.stdout)
    assert told["counts"]["passed"] == len(list(read_vectors()))
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
