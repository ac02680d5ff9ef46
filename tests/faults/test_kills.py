"""A writer that is killed, or rejected by the disk, at every system call of put.

This shows the death of a process, not the loss of power.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from put_once import DATA

from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex

NAME = f"{sha256_hex(DATA)}.png"
PROGRAM = Path(__file__).with_name("put_once.py")
#: The calls by the names that a regular expression of strace takes.
CALLS = {
    "openat": "openat",
    "write": "write",
    "fsync": "fsync",
    "rename": "renameat",
    "close": "close",
}
CALLS |= {"mkdir": "mkdirat", "chmod": "fchmod"}
SCENARIOS = ("new", "missing", "torn", "whole", "run")


def ptrace_is_forbidden() -> bool:
    """True if the kernel refuses tracing; a missing strace is a fault of the machine's set-up."""
    assert shutil.which("strace"), "strace is needed: apt-get install strace"
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    return done.returncode != 0 and "ptrace" in done.stderr.lower()


@pytest.fixture(scope="module", autouse=True)
def _tracing() -> None:
    if ptrace_is_forbidden():
        pytest.skip("!!! NO KILL SWEEP: this kernel forbids ptrace, nothing was tested !!!")


def prepare(scenario: str, root: Path) -> Path:
    """The images directory of a scenario, in the state before the put."""
    images = root / "images"
    if scenario == "run":
        images = root / "run_a" / "assets" / "images"
        root.mkdir()
    elif scenario != "missing":
        images.mkdir(parents=True)
    if scenario == "torn":
        (images / NAME).write_bytes(DATA[:1000])
    elif scenario == "whole":
        (images / NAME).write_bytes(DATA)
    return images


def put(scenario: str, root: Path, *options: str) -> tuple[int, str]:
    """Runs the writer under strace: return code and what it said."""
    place = (str(root), "a") if scenario == "run" else (str(root / "images"), "")
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["strace", "-f", *options, sys.executable, str(PROGRAM), *place]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    return done.returncode, done.stdout


def first_calls(scenario: str, root: Path) -> dict[str, int]:
    """Counts in a complete run how often each call is made before the put begins."""
    prepare(scenario, root)
    log = root.parent / f"{root.name}.log"
    traced = ",".join(f"?{name}" for name in CALLS.values())
    code, said = put(scenario, root, "-o", str(log), "-e", f"trace={traced}")
    assert (code, said) == (0, "acknowledged")
    before, found, after = log.read_text().partition("mmraw-sweep-starts")
    assert found
    assert "renameat" in after or scenario == "whole"
    return {name: len(re.findall(rf"\b{name}\(", before)) for name in CALLS.values()}


def state(images: Path) -> bytes | None:
    """Returns the bytes under the name."""
    try:
        return (images / NAME).read_bytes()
    except FileNotFoundError:
        return None


def temporaries(images: Path) -> list[str]:
    """Files of writers that did not finish."""
    return [name for name in os.listdir(images) if name != NAME] if images.is_dir() else []


def kill_at(scenario: str, call: str, number: int, root: Path) -> bool:
    """Kills the writer there and holds the store to its promise; False where it completed."""
    images = prepare(scenario, root)
    code, said = put(
        scenario, root, "-o", os.devnull, "-e", f"inject={call}:signal=KILL:when={number}"
    )
    found = state(images)
    lawful = {
        "new": (None,),
        "missing": (None,),
        "run": (None,),
        "torn": (DATA[:1000],),
        "whole": (),
    }
    where = f"{scenario}: {call} {number}: {said!r}"
    assert found == DATA or found in lawful[scenario], where
    assert said != "acknowledged" or found == DATA, where
    # The next writer puts it right, and sweeping leaves nothing behind.
    run_id = "a" if scenario == "run" else None
    store = LocalStore(root, run_ids=["a"]) if run_id else LocalStore(root / "images")
    assert store.get(store.put(DATA, run_id=run_id), run_id=run_id) == DATA, where
    store.sweep(older_than=-10, run_id=run_id)
    assert temporaries(images) == [], where
    killed = code != 0
    assert killed or said == "acknowledged", where
    return killed


def sweep(scenario: str, call: str, start: int, folder: Path) -> int:
    """Kills at one call after the other until the run completes; returns the number of kills."""
    number = start + 1
    while kill_at(scenario, call, number, folder / f"{scenario}-{call}-{number}"):
        number += 1
    return number - start - 1


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_any_call_the_name_is_absent_or_whole(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = first_calls(scenario, tmp_path / "first")
    with ThreadPoolExecutor(2) as pool:
        jobs = {c: pool.submit(sweep, scenario, c, starts[c], tmp_path) for c in CALLS.values()}
        kills = {call: job.result() for call, job in jobs.items()}
    with capsys.disabled():
        print(f"\n{scenario}: {sum(kills.values())} kills, 0 violations {kills}")
    assert kills["openat"] >= 1
    assert kills["close"] >= 1
    assert kills["write"] >= (1 if scenario == "whole" else 2)


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EIO"])
@pytest.mark.parametrize("call", ["openat", "write", "fsync", "renameat"])
def test_a_disk_that_refuses_leaves_nothing_half_written(
    call: str, error: str, tmp_path: Path
) -> None:
    start = first_calls("new", tmp_path / "first")[call]
    code = "store_unavailable" if error == "EIO" else "store_full"
    refusals = 0
    for number in range(start + 1, start + 30):
        root = tmp_path / str(number)
        images = prepare("new", root)
        inject = f"inject={call}:error={error}:when={number}"
        _, said = put("new", root, "-o", os.devnull, "-e", inject)
        assert said in (code, "acknowledged", ""), (number, said)
        assert temporaries(images) == [], (number, said)
        assert state(images) in (None, DATA), (number, said)
        refusals += said == code
        if said == "acknowledged" and refusals:
            assert state(images) == DATA
            break
    assert refusals >= 1
