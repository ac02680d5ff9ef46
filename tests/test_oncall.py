"""A person on call gets, for each fault that people meet, the answer that leads on."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import samples

from mmraw_protocol.cli import main
from mmraw_protocol.families import get_adapter
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.errors import ERRORS

QWEN = get_adapter("qwen_vl")
PICTURE = QWEN.describe(samples.PNG)
GRID = {"image_grid_thw": [list(PICTURE.grid_thw)]}
OWN = {"mm_hash": PICTURE.mm_hash, "payload": GRID, "raw_image_id": f"{PICTURE.sha256}.png"}
REF = samples.ref(**OWN)
V2 = samples.ref("v2", **OWN)
JSON_REF = samples.ref("bare-uri")


def ref(**changes: Any) -> str:
    """The ref with one field changed, spelled as it may be."""
    return samples.v3_text(samples.ref_fields(**(OWN | changes)))


def inline(**changes: Any) -> str:
    """The same with its picture in it."""
    fields = {"raw_image_id": None, "raw_uri": samples.data_url(samples.PNG), **changes}
    return samples.ref(**(OWN | fields))


def features(*refs: str, length: int = PICTURE.num_tokens) -> dict[str, Any]:
    """A features body of the picture."""
    body = samples.features(*refs, mm_hash=PICTURE.mm_hash)
    for row in body["mm_placeholders"]["image"]:
        row["length"] = length
    return body


def padded(text: str) -> str:
    """Standard base64 in place of what the ref is written in."""
    head, _, body = text.rpartition(":")
    data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return f"{head}:{base64.b64encode(data).decode()}"


def wrapped(text: str, width: int = 76, newline: str = "\n") -> str:
    return newline.join(text[at : at + width] for at in range(0, len(text), width))


Answer = Callable[..., tuple[int, str]]


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Answer:
    """Exit code and output of a command on a file with a text."""

    def run(text: str, *options: str, command: str = "inspect") -> tuple[int, str]:
        file = tmp_path / "input.txt"
        file.write_text(text, newline="")
        code = main([command, str(file), *options])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


#: Texts that people paste, and the words that they must read; the fault comes first.
REFUSED = {
    "another hash than the name promises": (
        ref(mm_hash="0" * 32),
        ["hash_mismatch", "mm_hash contradicts raw_image_id"],
    ),
    "another hash than the picture's": (inline(mm_hash="0" * 32), ["hash_mismatch"]),
    "another grid than the picture's": (
        inline(payload={"image_grid_thw": [[1, 4, 4]]}),
        ["grid_mismatch", "101 x 67 pixels"],
    ),
    "a placeholder of another length": (
        json.dumps(features(REF, length=10)),
        ["placeholder_mismatch", f"length 10, the grid gives {PICTURE.num_tokens} tokens"],
    ),
    "a ref cut off": (REF[:-40], ["cut off", f"ends at character {len(REF) - 40}"]),
    **{
        f"a ref cut off {count} characters before its end": (REF[:-count], ["cut off"])
        for count in (1, 2, 3, 41, 42, 43)
    },
    "a ref cut off, with dots": (REF[:200] + "...", ["dots", "character 201", "cut off"]),
    "a ref cut off, with an ellipsis": (REF[:200] + "…", ["character 201", "cut off"]),
    **{
        f"{text} after the end": (REF + text, [f"ends at character {len(REF)}", "more follow"])
        for text in ("a", "ab", "abc", "abcd", "A" * 40)
    },
    "dots in the middle": (REF[:200] + "..." + REF[-9:], ["dots", "character 201"]),
    "padding": (REF + "==", ["padding", f"character {len(REF) + 1}", "it is a valid ref"]),
    "the standard alphabet": (
        padded(ref(payload={"image_grid_thw": [[1, 2, 2]]}, family="??>>")),
        ["standard alphabet at character"],
    ),
    "lines of 76": (wrapped(REF), ["a line break at character 77", "it is a valid ref"]),
    "lines of 64 from another system": (
        wrapped(REF, 64, "\r\n"),
        ["a line break at character 65"],
    ),
    "a field too many": (
        ref(mm_hsh="0" * 32),
        ["unknown_field", "mm_hash", '"mm_hsh" is no field here; did you mean mm_hash?'],
    ),
    "a field too few": (samples.ref(mm_hash=None), ["missing_field", "mm_hash"]),
    "another family's payload": (
        ref(payload={"grid_thws": [[1, 2, 2]], "num_media_tokens": 1}),
        ["this payload is kimi_k25's"],
    ),
    "a line for a family": (ref(family="qwen2_vl"), ["unknown_family", "write qwen_vl"]),
    "a family misspelt": (ref(family="qwen-vl"), ["did you mean qwen_vl?"]),
    "an odd grid": (
        ref(payload={"image_grid_thw": [[1, 24, 37]]}),
        ["invalid_grid", "37 is no multiple of 2"],
    ),
    "a prefix in upper case": (REF.replace("mmraw:", "MMRAW:"), ["lower case"]),
    "such a prefix in a log": (f"10:02 ref={REF.replace('mmraw:', 'MMRAW:')}", ["lower case"]),
    "a log without a ref": ("10:02 all is well", ["not_a_ref", "got 17 characters without one"]),
    "another version": ("mmraw:v4:abc", ["unsupported_dialect", "v1, v2, v3"]),
    "a request that was cut off": (
        json.dumps({"features": features(REF)})[:-20],
        ["invalid_json", "cut off after", "line 1, column"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_fault_is_told_first_and_by_kind_and_place(name: str, answer: Answer) -> None:
    text, words = REFUSED[name]
    code, told = answer(text)
    assert code == 1
    first = told.splitlines()[0]
    assert first.startswith(("refused: ", "mmraw: "))
    for word in words:
        assert word in told
    named = next(code for code in ERRORS if code in told)
    assert f"docs/reference/wire/errors.md#{named}" in told


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (f"10:02 ERROR worker[3] ref={REF} code=grid_mismatch\n", [(1, 27)]),
        (f"10:02 ok\n10:03 ref={REF} x\nother {V2} y\n", [(2, 11), (3, 7)]),
        (f"'{REF}'", [(1, 2)]),
        (f'  "{REF}",', [(1, 4)]),
        (json.dumps(json.dumps({"ref": REF})), [(1, 14)]),
        (json.dumps({"body": json.dumps([REF, V2])}), [(1, 14), (1, 20 + len(REF))]),
        (json.dumps({"body": json.dumps([REF])}).replace("/", "\\/"), [(1, 14)]),
        (f"GET /?ref={quote(REF, safe='')}&n=1 HTTP/1.1", [(1, 11)]),
        (f"GET /?ref={quote(JSON_REF, safe='')}&n=1 HTTP/1.1", [(1, 11)]),
        (json.dumps([{"a": REF}, {"b": [V2]}], indent=1), [(3, 9), (7, 5)]),
        (f"{{'ref': '{REF}'}}", [(1, 10)]),
    ],
)
def test_every_ref_of_a_text_is_found_with_line_and_column(
    text: str, places: list[tuple[int, int]], answer: Answer
) -> None:
    code, told = answer(text, "--json")
    report = json.loads(told)
    things = report.get("things", [report])
    assert [(thing["line"], thing["column"]) for thing in things] == places
    assert (code, report["ok"]) == (0, True)
    code, told = answer(text)
    for line, column in places:
        assert f"line {line}, column {column}" in told


def test_several_faults_are_told_at_once_and_first(answer: Answer) -> None:
    bad = inline(mm_hash="0" * 32, payload={"image_grid_thw": [[1, 4, 4]]})
    code, told = answer(f"one {REF}\ntwo {bad}\nthree {REF[:-40]}")
    assert code == 1
    lines = [line for line in told.splitlines() if not line.startswith(" ")]
    assert lines[0] == "refused: 2 of 3"
    assert [line.split(": ")[1] for line in lines[1:5]] == [
        "refused",
        "grid_mismatch at $.payload",
        "refused",
        "ok",
    ]


def test_json_lines_are_inspected_line_by_line(answer: Answer) -> None:
    rows = [{"features": features(REF)}, {"features": features(REF, length=10)}, {"ref": V2}]
    code, told = answer("\n".join(map(json.dumps, rows)), "--json")
    things = json.loads(told)["things"]
    assert code == 1
    assert [(thing["line"], thing["ok"]) for thing in things] == [(1, True), (2, False), (3, True)]


def test_a_store_a_run_and_a_configuration_verify_more(answer: Answer, tmp_path: Path) -> None:
    place = tmp_path / "run_exp42" / "assets" / "images"
    LocalStore(place).put(samples.PNG)
    options = ("--store", str(place), "--run-id", "exp42")
    code, told = answer(REF, *options, "--config", "qwen3_vl", "--verify")
    assert code == 0
    assert "verified: run, fingerprint, hash, source, grid" in told
    assert answer(ref(run_id="exp43"), *options)[1].startswith("refused: run_mismatch at $.run_id")
    assert answer(ref(run_id="exp43"), "--runs", "exp42,exp43")[0] == 0
    assert answer(ref(run_id="exp44"), "--runs", "exp42,exp43")[0] == 1
    assert "source_unavailable" in answer(inline(raw_uri=None, raw_image_id="a.png"), *options)[1]
    assert "grid_mismatch" in answer(ref(payload={"image_grid_thw": [[1, 4, 4]]}), *options)[1]
    assert answer(REF, "--store", str(tmp_path / "missing"))[0] == 1
    assert answer(REF, "--run-id", "a", "--runs", "b")[0] == 1


def test_a_fingerprint_is_told_by_its_line_its_scheme_and_its_parameters(answer: Answer) -> None:
    qwen2 = get_adapter("qwen_vl", "qwen2_vl")
    assert "that of the qwen2_vl / " in answer(ref(fingerprint=qwen2.fingerprint()))[1]
    other = ref(fingerprint=QWEN.fingerprint("unversioned-uri"))
    assert "scheme unversioned, where the ref's dialect has scheme v1" in answer(other)[1]
    code, told = answer(ref(fingerprint=qwen2.fingerprint()), "--config", "qwen3_vl")
    assert code == 1
    first, second = told.splitlines()[:2]
    assert first.startswith("refused: fingerprint_mismatch at $.fingerprint")
    assert second.startswith("    its fingerprint: differs in ")
    assert "patch_size (ref 14, configuration 16)" in second
    told = answer(ref(fingerprint="0" * 32))[1]
    assert f"mmraw fingerprint {'0' * 32} --family qwen_vl" in told


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "qwen3_vl / qwen3_5 line; scheme v1"),
        ({"max_pixels": 1003520}, "line with max_pixels 1003520"),
        ({"max_pixels": 784 * 16381}, "line with max_pixels 12842704"),
        ({"max_pixels": 1 << 40}, "line with max_pixels 1099511627776"),
        ({"do_resize": False}, "line with do_resize false"),
        ({"min_pixels": 200704, "max_pixels": 1003520}, "max_pixels 1003520, min_pixels 200704"),
    ],
)
def test_the_parameters_of_a_fingerprint_are_searched(
    parameters: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint = get_adapter("qwen_vl", parameters).fingerprint()
    assert main(["fingerprint", fingerprint, "--family", "qwen_vl"]) == 0
    assert words in capsys.readouterr().out
    same = main(["fingerprint", fingerprint, "--config", "qwen3_vl"]) == 0
    told = capsys.readouterr().out
    assert same is (not parameters)
    for name in parameters:
        assert f"{name} (ref " in told


def test_a_fingerprint_of_nobody_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", "0" * 32, "--family", "kimi_k25", "--json"]) == 1
    assert "diff-config" in json.loads(capsys.readouterr().out)["told"]
    assert main(["fingerprint", "no hash"]) == 1


def test_two_configurations_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "preprocessor_config.json"
    parameters = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    parameters |= {"min_pixels": 3136, "max_pixels": 1003520}
    file.write_text(json.dumps({"image_processor_type": "Qwen2VLImageProcessor", **parameters}))
    assert main(["diff-config", "qwen2_vl", str(file)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("they differ in 1 layout parameter: max_pixels\n")
    assert main(["diff-config", "qwen2_vl", "qwen2_5_vl"]) == 0
    assert capsys.readouterr().out.startswith("the same layout: ")
    assert main(["diff-config", "qwen2_vl", "kimi_k25", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["same"] is False
    assert main(["diff-config", "qwen2_vl", str(tmp_path / "missing.json")]) == 1
    assert "configuration B: " in capsys.readouterr().err


def test_materialize_refuses_refs_of_other_runs(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN_ID", raising=False)
    root = tmp_path / "outputs"
    place = root / "run_exp42" / "assets" / "images"
    LocalStore(place).put(samples.PNG)

    def pictures(text: str, *options: str) -> tuple[int, str]:
        return answer(text, "--out", str(tmp_path / "out"), *options, command="materialize")

    here = ("--store", str(place))
    assert pictures(REF, *here, "--run-id", "exp42")[0] == 0
    assert pictures(REF, *here, "--run-id", "run_exp42")[0] == 0
    for text in (REF, inline()):
        code, told = pictures(text, *here, "--run-id", "exp43")
        assert code == 1
        assert "run_mismatch at $.run_id" in told
    assert pictures(REF, "--store", str(root), "--runs", "exp42,exp43")[0] == 0
    assert "run_mismatch" in pictures(REF, "--store", str(root), "--runs", "exp43")[1]
    assert "unsupported_option" in pictures(REF, *here, "--runs", "a", "--run-id", "b")[1]


def test_materialize_reads_json_lines_and_logs(answer: Answer, tmp_path: Path) -> None:
    rows = [{"features": features(inline())}, {"body": json.dumps({"ref": inline()})}]
    out = tmp_path / "out"
    options = ("--out", str(out))
    text = "\n".join(map(json.dumps, rows))
    assert answer(text, *options, command="materialize")[0] == 0
    assert {name.name[:8] for name in out.iterdir()} == {"000-000-", "001-imag"}
    assert answer(f"log {inline()} end", *options, command="materialize")[0] == 0
    rows.append({"mm_refs": [[[inline(), 5, PICTURE.num_tokens + 1]]]})
    code, told = answer("\n".join(map(json.dumps, rows)), *options, command="materialize")
    assert code == 1
    assert "placeholder_mismatch at $.mm_refs[0][0][0]" in told
    assert "(line 3)" in told


def test_validate_takes_a_store_a_run_and_a_configuration(answer: Answer, tmp_path: Path) -> None:
    place = tmp_path / "run_exp42" / "assets" / "images"
    LocalStore(place).put(samples.PNG)
    rows = [{"features": features(REF)}, {"ref": ref(run_id="exp43")}, {"ref": ref()}]
    text = "\n".join(map(json.dumps, rows))

    def counts(*options: str) -> dict[str, int]:
        return json.loads(answer(text, *options, "--json", command="validate")[1])[
            "refused_by_code"
        ]

    assert counts() == {}
    here = ("--store", str(place))
    assert counts(*here, "--run-id", "exp42") == {"run_mismatch": 1}
    assert counts("--config", "qwen2_vl") == {"fingerprint_mismatch": 3}
    LocalStore(place).delete(f"{PICTURE.sha256}.png")
    assert counts(*here) == {"source_unavailable": 3}
    told = answer(text, *here, command="validate")[1]
    assert "docs/reference/wire/errors.md#source_unavailable" in told


def test_a_pasted_line_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"10:02 ERROR ref={REF} code=grid_mismatch"]) == 0
    assert capsys.readouterr().out.startswith("line 1, column 17: ok: ")


def test_a_compressed_file_is_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "refs.gz"
    file.write_bytes(gzip.compress(f"{REF}\n{V2}\n".encode()))
    assert main(["inspect", str(file)]) == 0
    assert capsys.readouterr().out.startswith("ok: 2 found")


def test_a_table_is_inspected_row_by_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    file = tmp_path / "rollouts.parquet"
    rows = {"ref": [REF, ref(mm_hash="0" * 32)], "features": [json.dumps(features(REF)), "{}"]}
    parquet.write_table(arrow.Table.from_pydict(rows), file)
    assert main(["inspect", str(file)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("refused: 1 of 3\nline 2, column ")
    assert "$.features > $" in told
    assert main(["inspect", str(tmp_path)]) == 1
    assert "mmraw validate reads all files" in capsys.readouterr().err
