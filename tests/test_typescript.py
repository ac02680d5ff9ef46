"""The TypeScript implementation, where there is node: the vectors, and generated cases.

`make test` builds it first. `make conformance` asks it far more.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from differential import compare
from differential.cases import OPERATIONS, cases
from differential.seeds import Seeds

from mmraw_protocol.conformance.operations import OPERATIONS as KNOWN
from mmraw_protocol.conformance.runner import Options, run
from mmraw_protocol.conformance.vectors import read_vectors

PROGRAM = Path(__file__).parent.parent / "typescript/dist/conformance.js"
COMMAND = ("node", str(PROGRAM))

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not PROGRAM.exists(),
    reason="NOT TESTED: the TypeScript package needs node 20 or later, and `make typescript`",
)


def test_it_answers_every_vector_with_the_same_code() -> None:
    report = run(COMMAND, list(read_vectors()), Options(strict_codes=True, timeout=60))
    wrong = [one for one in report.outcomes if one.status in ("failed", "errored")]
    assert wrong == []
    assert report.faults == ()
    assert {one.op for one in report.outcomes if one.status == "skipped"} == {"materialize"}
    assert set(report.implementation["ops"]) == set(KNOWN) - {"materialize"}


def test_nothing_differs_on_generated_cases() -> None:
    found = list(compare.differences(COMMAND, cases(0, 3000, Seeds(0, 40))))
    assert [str(compare.minimise(COMMAND, one)) for one in found[:3]] == []


def test_the_cases_are_the_same_for_the_same_seed_and_of_every_operation() -> None:
    pools = Seeds(0, 10)
    first, again = (list(cases(5, 600, pools)) for _ in range(2))
    assert first == again
    assert first != list(cases(6, 600, pools))
    assert {op for op, _ in first} == {maker.__name__ for maker in OPERATIONS}


#: An implementation that is right but for one rule of JSON.
WRONG = """
import sys, json
from mmraw_protocol.conformance import answer
for line in sys.stdin:
    request = json.loads(line)
    reply = answer(request)
    if reply is None:
        break
    if request.get("op") == "check_raw_image_id" and request["input"]["raw_image_id"].endswith("."):
        reply = {"seq": request["seq"], "ok": True, "result": request["input"]}
    print(json.dumps(reply), flush=True)
"""


def test_a_difference_is_found_and_made_small(tmp_path: Path) -> None:
    import sys

    program = tmp_path / "wrong.py"
    program.write_text(WRONG)
    command = (sys.executable, str(program))
    rows: list[Any] = [("check_raw_image_id", {"raw_image_id": "abcdef.png" + dot}) for dot in ".x"]
    (found,) = compare.differences(command, rows)
    small = compare.minimise(command, found)
    assert small.input == {"raw_image_id": "."}
    assert small.reason == "wrongly_accepted"
    assert json.dumps(small.input) in str(small)


def test_what_is_not_strict_about_lines_is_answered_all_the_same() -> None:
    name = "\u2028.png"
    requests = [
        {"cmd": "start", "version": 1},
        {
            "cmd": "run",
            "seq": "\u2028",
            "op": "check_raw_image_id",
            "input": {"raw_image_id": name},
        },
        {"cmd": "run", "seq": 2, "op": "no_such_op", "input": {}},
        {"cmd": "stop"},
    ]
    text = "\n\n".join(json.dumps(request, ensure_ascii=False) for request in requests)
    done = subprocess.run(COMMAND, input=text.encode(), capture_output=True, check=True)
    start, refused, skipped = [json.loads(line) for line in done.stdout.splitlines()]
    assert start["implementation"]["language"] == "typescript"
    assert (refused["seq"], refused["ok"]) == ("\u2028", False)
    assert (skipped["seq"], skipped["skipped"]) == (2, True)
