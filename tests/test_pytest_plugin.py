"""The vectors in a consumer's test suite, in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTY = Path(__file__).parent / "conformance_faults" / "faulty.py"
PLUGIN = "mmraw_protocol.conformance.pytest_plugin"


def command(behaviour: str) -> list[str]:
    return [sys.executable, "-S", "-E", str(FAULTY), behaviour]


def run_pytest(folder: Path, *args: str) -> tuple[int, str]:
    """A consumer's own run: exit code and output."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    # Other plugins of this environment take longer to load than the tests to run.
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    done = subprocess.run(line, cwd=folder, env=environ, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def one_line(behaviour: str, **options: object) -> str:
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return (
        f"from {PLUGIN} import conformance_tests\n"
        f"test_mmraw = conformance_tests({command(behaviour)!r}{given})\n"
    )


def test_one_line_in_a_test_file(tmp_path: Path) -> None:
    ops = ["check_raw_image_id"]
    file = tmp_path / "test_it.py"
    file.write_text(one_line("accepts", ops=ops))
    code, out = run_pytest(tmp_path, "-v")
    assert code == 1
    assert "test_mmraw[check_raw_image_id-hostile] FAILED" in out
    assert "wrongly_accepted" in out
    assert "more" in out
    file.write_text(one_line("skips", ops=ops))
    code, out = run_pytest(tmp_path)
    assert code == 0
    assert "passed" not in out
    file.write_text(one_line("version_two", ops=["parse_ref"]))
    code, out = run_pytest(tmp_path)
    assert code == 1
    assert "cannot be started: wrong_version" in out


def test_a_baseline_makes_known_failures_pass_until_they_are_mended(tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    program = [str(Path(sys.executable).parent / "mmraw"), "conformance", "run"]
    line = [*program, "--filter", "check_raw_image_id", "--write-baseline", str(known)]
    line += ["--reason", "it accepts every name", "--link", "https://example.org/1", "--"]
    subprocess.run([*line, *command("accepts")], capture_output=True, check=False)
    file = tmp_path / "test_it.py"
    options = {"ops": ["check_raw_image_id"], "baseline": str(known)}
    file.write_text(one_line("accepts", **options))
    assert run_pytest(tmp_path)[0] == 0
    entries = json.loads(known.read_text())
    entries["known"]["no/such"] = next(iter(entries["known"].values()))
    known.write_text(json.dumps(entries))
    code, out = run_pytest(tmp_path)
    assert code == 1
    assert "baseline is stale: no/such: no such vector" in out


@pytest.mark.parametrize("how", ["option", "setting"])
def test_the_plugin_needs_no_test_file(how: str, tmp_path: Path) -> None:
    text = " ".join(command("skips"))
    options = ["-p", PLUGIN, "-k", "check_raw"]
    if how == "option":
        options += ["--mmraw-conformance", text]
    else:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\nmmraw_conformance = {text}\n")
    code, out = run_pytest(tmp_path, "-v", *options)
    assert code == 0, out
    assert "mmraw_conformance[check_raw_image_id-hostile] SKIPPED" in out
    assert "mmraw_conformance[parse_ref-refs]" not in out


def test_the_plugin_does_nothing_unasked(tmp_path: Path) -> None:
    code, out = run_pytest(tmp_path, "-p", PLUGIN)
    assert code == 5, out
