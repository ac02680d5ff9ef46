"""The benchmarks run: one tiny round of every comparison; how fast anything is, nobody asserts."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import baseline, files, growth, material, reliability, report
from benchmarks.__main__ import main
from benchmarks.measure import interleaved
from mmraw_protocol import build_features, format_ref, parse_ref


@pytest.mark.parametrize("group", ["refs", "images", "rejections", "store", "files", "growth"])
def test_a_group_is_measured_and_reported(
    group: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PROCESSES", (1, 2))
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    options = ["--rounds", "2", "--largest", "20000", "--most", "10", "--megabytes", "0.01"]
    options += ["--only", group]
    assert main([*options, "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "performance/results.json").read_text())
    assert result["machine"]["cores"]
    if group == "growth":
        assert len(list((tmp_path / "performance").glob("*.svg"))) == len(result["growth"]) == 3
    elif group == "files":
        assert (tmp_path / "performance/files.svg").exists()
    if group != "growth":
        assert result["figures"]
        assert all(row["value"] > 0 and row["baseline"] for row in result["figures"])
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert report.markdown(result) in capsys.readouterr().out


def test_a_group_by_itself_takes_the_place_of_its_rows() -> None:
    def result(load: float, *works: tuple[str, int]) -> dict[str, Any]:
        machine = {"load_before": load, "load_after": load, "cores": 2}
        rows = [{"work": work, "value": value} for work, value in works]
        return {"machine": machine, "rounds": 3, "figures": rows, "growth": {"a": 1}}

    before, alone = result(1.0, ("x", 1), ("y", 2)), result(2.0, ("y", 5), ("z", 6))
    both = report.merged(before, alone, "group")
    assert {row["work"]: row["value"] for row in both["figures"]} == {"x": 1, "y": 5, "z": 6}
    assert both["machine"] == before["machine"]
    assert both["alone"]["group"] == {"rounds": 3, "load_before": 2.0, "load_after": 2.0}


def test_files_are_measured_against_another_version() -> None:
    root = Path(files.__file__).parents[1]
    ratios = dict(files.against_another_version(1, 20, str(root)))
    assert ratios.keys() == {"validate", "convert", "validate conversations"}
    assert all(ratio > 0 for ratio in ratios.values())


def test_contestants_take_turns() -> None:
    calls: list[str] = []
    timing = interleaved({name: lambda name=name: calls.append(name) for name in "ab"}, 4)
    assert {len(samples) for samples in timing.samples.values()} == {4}
    assert timing.ratio("a", "b") > 0


def test_the_baseline_does_the_same_work() -> None:
    for number, dialect in enumerate(("v3", "v2")):
        text = format_ref(material.stored_ref(number), dialect)
        read = baseline.parse_v3(text) if dialect == "v3" else baseline.parse_v2(text)
        ours = parse_ref(text)
        for name in ("run_id", "family", "fingerprint", "modality", "mm_hash", "raw_image_id"):
            assert getattr(read, name) == getattr(ours, name)
        assert baseline.format_v3(read) == format_ref(ours)
    data = material.items(3)
    assert baseline.build_features(data, material.RUN) == build_features(data, run_id=material.RUN)


def test_a_conversation_is_built_and_read_both_ways() -> None:
    names = [name for name, _ in growth.conversations(2, 3)]
    assert names[:2] == ["built turn by turn", "built again each turn"]


def test_the_chart_of_refusals_has_a_point_for_each_length() -> None:
    series = reliability.measure((1000, 2000))
    assert {name for name, _ in series} >= {"envelope", "features body", "json.loads"}
    for _, rows in series:
        assert [length for length, _ in rows] == [1000, 2000]
        assert all(seconds > 0 for _, seconds in rows)
