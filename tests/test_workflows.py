"""The hosted CI and .ci/run call the same targets; what is said of targets and folders is true."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
RUN = ROOT / ".ci" / "run"
GUIDE = ROOT / "tests" / "README.md"

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
    assert made(RUN) | made(WORKFLOW) | made(GUIDE) | jobs() <= known


def test_the_guide_names_every_suite_and_every_folder() -> None:
    assert {name for name in made(RUN) if name.startswith("test")} <= made(GUIDE)
    folders = {path.name for path in GUIDE.parent.iterdir() if path.is_dir()}
    folders = {name for name in folders if not name.startswith((".", "__"))}
    named = set(re.findall(r"\b([a-z_0-9]+)/(?=[ ,|])", GUIDE.read_text("utf-8")))
    assert folders <= named


def test_both_run_the_same() -> None:
    assert made(RUN) - NOT_A_JOB == jobs()


def test_the_workflow_has_the_form_of_one() -> None:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    done = subprocess.run([*command, "vendor.github-workflows", WORKFLOW], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()
