"""Holding an implementation to the protocol: every way of being wrong, counted in its class."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol.conformance import operations
from mmraw_protocol.conformance.answers import FAULTS, REASONS, difference
from mmraw_protocol.conformance.child import Child
from mmraw_protocol.conformance.runner import Options, Report, StartError, run
from mmraw_protocol.conformance.vectors import Vector

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
    detail = report.outcomes[1].detail
    assert re.match(r"exit code \d+; .*assertion failed: grid", detail, re.S)
    assert "closed its output and went on running" in ask("closes_output").outcomes[1].detail
    with pytest.raises(StartError) as caught:
        ask("start_crash")
    assert "assertion failed: grid" in caught.value.stderr
    assert re.fullmatch(r"no answer to start \(exit code \d+\)", caught.value.detail)


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


def test_an_implementation_needs_little_beside_the_runner() -> None:
    """The glue of this package is what another implementation writes as its own."""
    folder = Path(operations.__file__).parent
    texts = [(folder / name).read_text("utf-8") for name in ("harness.py", "operations.py")]
    assert sum(len(text.splitlines()) for text in texts) <= 250
