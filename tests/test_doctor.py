"""`mmraw doctor` and shell completion: what a person asks of an installation."""

import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.cli import COMMANDS, main
from mmraw_protocol.cli.vllm import vllm_report
from mmraw_protocol.conformance import selftest
from mmraw_protocol.conformance.vectors import Vector, read_vectors, vectors_folder
from mmraw_protocol.integrations.vllm.engine import VLLM
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire._generated.families import FAMILIES

#: The self-test of this installation, which the command asks here, too, and once.
self_test = functools.cache(selftest.self_test)


@pytest.fixture(autouse=True)
def _asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmraw_protocol.cli.doctor.self_test", self_test)


def test_a_good_installation_passes_every_vector() -> None:
    found = self_test()
    assert found.failed == []
    assert found.passed + found.skipped == len(list(read_vectors()))
    assert found.passed > 10_000


def test_a_vector_that_does_not_hold_is_named() -> None:
    lie = Vector(id="lie", op="parse_ref", input={"ref": "nonsense"}, result={}, spec="Refs")
    wrong_code = Vector(
        id="code", op="parse_ref", input={"ref": "x"}, error={"code": "store_full"}, spec="Refs"
    )
    found = selftest.self_test([lie, wrong_code], vectors_folder())
    assert found.failed == ["lie", "code"]


def test_doctor_reports_extras_store_and_vectors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LocalStore(tmp_path)
    assert main(["doctor", "--store", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["extras"]["vision"]["pillow"] is not None
    assert report["store"] == {"state": "reachable"}
    assert report["vectors"]["passed"] == self_test().passed
    assert report["vectors"]["failed"] == []
    assert main(["doctor", "--store", str(tmp_path)]) == 0
    assert "vectors" in capsys.readouterr().out


def test_doctor_fails_where_the_store_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--store", str(tmp_path / "missing"), "--json"]) == 1
    assert "error" in json.loads(capsys.readouterr().out)["store"]


@pytest.mark.parametrize(
    ("variables", "state", "detail"),
    [
        ({}, "off", "VLLM_PLUGINS=mmraw turns it on"),
        ({"VLLM_PLUGINS": "lora_filesystem_resolver"}, "off", "add mmraw to it"),
        ({"VLLM_PLUGINS": "cpu,mmraw"}, "on", "lists it"),
        ({"VLLM_PLUGINS": "mmraw", "VLLM_MEDIA_CONNECTOR": "http"}, "on", "another connector"),
        ({"VLLM_PLUGINS": "mmraw", "VLLM_USE_RUST_FRONTEND": "1"}, "cannot work", "front end"),
        ({"VLLM_PLUGINS": "mmraw", "VLLM_USE_RUST_FRONTEND": "0"}, "on", "lists it"),
        ({"VLLM_USE_RUST_FRONTEND": "1"}, "off", "turns it on"),
    ],
)
def test_the_environment_says_whether_a_vllm_started_in_it_takes_refs(
    variables: dict[str, str], state: str, detail: str
) -> None:
    found = vllm_report(variables)
    assert found["state"] == state
    assert detail in found["detail"]


def test_doctor_fails_where_the_plugin_is_named_and_cannot_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "mmraw")
    monkeypatch.setenv("VLLM_USE_RUST_FRONTEND", "1")
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["vllm"]["state"] == "cannot work"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    ask = '\nCOMP_WORDS=(mmraw ""); COMP_CWORD=1; _shtab_mmraw 2>/dev/null; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, check=True)
    assert set(COMMANDS) <= set(done.stdout.split())


def server_findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """The exit status of `mmraw doctor --server`, and what it says of the server."""
    status = main(["doctor", "--server", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)["server"]


def test_doctor_checks_the_settings_of_a_server_without_starting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "mmraw")
    monkeypatch.setenv("MMRAW_STORE", str(tmp_path))
    preset = next(iter(FAMILIES["qwen_vl"].presets))
    status, found = server_findings(capsys, preset)
    assert (status, found["state"]) == (0, "ready")
    for said in (str(tmp_path), "qwen_vl", "made at start"):
        assert said in found["detail"]
    monkeypatch.setenv("MMRAW_FAMILIES", "kimi_k25")
    status, found = server_findings(capsys, preset)
    assert (status, found["state"]) == (1, "refused")
    assert "qwen_vl" in found["detail"]
    assert server_findings(capsys)[0] == 0
    monkeypatch.setenv("MMRAW_RUNID", "exp42")
    assert server_findings(capsys)[1]["error"]["code"] == "unsupported_option"
    monkeypatch.delenv("MMRAW_RUNID")
    monkeypatch.delenv("VLLM_PLUGINS")
    assert server_findings(capsys)[0] == 1


def test_doctor_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "mmraw")
    monkeypatch.setenv("MMRAW_STORE", str(tmp_path / "missing"))
    assert server_findings(capsys)[1]["error"]["code"] == "store_invalid"
    monkeypatch.setenv("MMRAW_STORE_CREATE", "true")
    assert server_findings(capsys)[1]["state"] == "ready"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("version", ["0.29.1", "0.8.5.post1"])
def test_an_older_vllm_is_refused_with_the_range(version: str) -> None:
    with pytest.raises(MMRawError, match=r"too old: mmraw is for vLLM 0\.30 to 0\.33"):
        VLLM.check_version(version)


def test_a_newer_vllm_is_told_from_those_that_were_tried() -> None:
    assert all(map(VLLM.check_version, ["0.30.0", "0.32.0+cpu", "0.33.1rc1"]))
    assert not any(map(VLLM.check_version, ["0.34.0", "1.0", "dev"]))
