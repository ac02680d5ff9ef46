"""What files hold: the images that the reports of validate, convert, offload and stats count."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
from described_refs import ref_of
from hypothesis import given
from hypothesis import strategies as st
from test_archives import BAD, report

from mmraw_protocol import format_ref, get_adapter
from mmraw_protocol.files import facts as facts_module
from mmraw_protocol.files.checking import check, check_stream
from mmraw_protocol.files.facts import Facts, Note
from mmraw_protocol.materialize.verification import Verifier
from mmraw_protocol.stores import LocalStore

FACTS = ("images", "duplicates", "image_bytes", "distinct_bytes", "forms", "families", "tokens")
#: Refs of two images, one of them twice, one with its image in it, and one that is rejected.
REFS = [
    samples.ref("v2"),
    samples.ref("v3"),
    samples.ref("v3"),
    format_ref(ref_of(get_adapter("qwen_vl"), samples.PNG, raw_uri=samples.data_url(samples.PNG))),
    BAD,
]
names = st.sampled_from(
    ["a", "image:a", "image:b", "form:ref v3", "family:x", "tokens:x", "size:1x1"]
)
notes = st.lists(st.tuples(names, st.just(3)))


@pytest.fixture(params=["lines", "document", "parquet", "text"])
def rollouts(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The refs in a file of each form."""
    path = tmp_path / "rollouts"
    if request.param == "lines":
        path.write_text("".join(json.dumps({"ref": one}) + "\n" for one in REFS))
    elif request.param == "document":
        path.write_text(
            json.dumps({"rows": [{"text": json.dumps([one])} for one in REFS]}, indent=1)
        )
    elif request.param == "parquet":
        pq.write_table(pa.table({"ref": REFS}), path)
    else:
        path.write_text("".join(f"INFO sent {one}\n" for one in REFS))
    return path


def test_reports_of_all_commands_say_what_the_images_are(
    rollouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_text = rollouts.read_bytes().startswith(b"INFO")
    text = ["--text"] if is_text else []
    expected = report(capsys, "stats", rollouts, *text, code=1)
    assert (expected["images"], expected["duplicates"]) == (4, 2)
    assert expected["forms"] == {"ref v2": 1, "ref v3": 3}
    assert expected["image_bytes"] == len(samples.PNG)
    LocalStore(tmp_path / "store")
    to = ("--report", tmp_path / "report.json")
    for command in (
        ["validate"],
        ["validate", "--processes", "2"],
        ["convert", "--dry-run", *text],
        ["offload", "--dry-run", "--store", str(tmp_path / "store"), *text],
    ):
        found = report(capsys, *command, rollouts, *to, code=1)["found"]
        assert [found[name] for name in FACTS] == [expected[name] for name in FACTS], command
        assert found == json.loads(to[1].read_text())["found"]


def test_what_images_are_is_counted_only_for_a_report(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "found" not in report(capsys, "validate", rollouts, code=1)
    text = ["--text"] if rollouts.read_bytes().startswith(b"INFO") else []
    assert "found" not in report(capsys, "convert", "--dry-run", rollouts, *text, code=1)


def test_an_envelope_and_a_features_body_count_with_their_images() -> None:
    body = [
        samples.envelope("v1"),
        samples.features(samples.ref("v2"), samples.ref("v2")),
        samples.data_url(samples.PNG),
    ]
    text = json.dumps(body).encode()
    for found in (whole(text), streamed(text)):
        # A body is one thing that holds two refs; a data: URL is no document of this protocol.
        assert found["forms"] == {"envelope v1": 1, "ref v2": 2}
        assert (found["images"], found["families"]) == (3, {"qwen_vl": 3})


def whole(text: bytes) -> dict[str, Any]:
    counts = check(io.BytesIO(text).read, verifier=Verifier(each=True))
    assert counts.facts is not None
    return counts.facts.report()


def streamed(text: bytes) -> dict[str, Any]:
    found = Facts()
    for _, finding in check_stream(io.BytesIO(text).read, verifier=Verifier(each=True)):
        found.note(finding.notes)
    return found.report()


@given(st.lists(notes))
def test_facts_of_parts_are_those_of_the_whole(parts: list[list[Note]]) -> None:
    whole, merged = Facts(), Facts()
    for part in parts:
        whole.note(part)
        one = Facts()
        one.note(part)
        merged.merge(one)
    assert merged.report() == whole.report()
    assert merged.moved.report() == whole.moved.report()


def test_what_every_turn_repeats_is_recognized_among_any_number_of_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts_module, "_DISTINCT", 8)
    one, parts = Facts(), Facts()
    for index in range(100):
        turn = [("image:each", 5), (f"image:{index}", 1)]
        one.note(turn)
        part = Facts()
        part.note(turn)
        parts.merge(part)
    assert len(one.found.seen) <= 8
    for found in (one.found, parts.found):
        assert found.report() == {
            "images": 200,
            "duplicates": 99,
            "image_bytes": 600,
            "distinct_bytes": 105,
        }
