"""The workflows of the hosted CI and .ci/run call the same targets, and each is in the Makefile."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
RUN = ROOT / ".ci" / "run"

#: In the hosted CI the first is a part of each job; the core's job is the second.
NOT_A_JOB = {"install", "test-pythons"}


def made(path: Path) -> set[str]:
    """The targets that a script calls by their names."""
    return set(re.findall(r"\bmake ([a-z-]+)", path.read_text("utf-8")))


def jobs() -> set[str]:
    """The targets of the job that runs each on a machine of its own."""
    listed = re.search(r"^ +target:\n((?: +- .+\n)+)", WORKFLOW.read_text("utf-8"), re.MULTILINE)
    assert listed is not None
    return set(re.findall(r"- (\S+)", listed.group(1)))


def test_every_target_is_in_the_makefile() -> None:
    files = [ROOT / "Makefile", *ROOT.glob("*/targets.mk")]
    text = "".join(path.read_text("utf-8") for path in files)
    known = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert made(RUN) | made(WORKFLOW) | jobs() <= known


def test_both_run_the_same() -> None:
    assert made(RUN) - NOT_A_JOB == jobs()


def test_the_workflow_has_the_form_of_one() -> None:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    done = subprocess.run([*command, "vendor.github-workflows", WORKFLOW], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()
