"""Coverage-guided fuzzing of every reader, by atheris.

    python tests/fuzz/run.py --seconds 60            # shared by all targets
    python tests/fuzz/run.py --seconds 600 --target ref_v3

Each target runs in a process of its own. What breaks a promise is kept in tests/fuzz/found/TARGET/,
which the tests replay for ever after. The corpus that coverage grows is kept in --corpus.
"""

import argparse
import hashlib
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOUND = HERE / "found"
NAMES = (
    "ref", "ref_v3", "ref_v2", "item", "features", "content_parts", "mm_refs", "msgpack_file",
    "data_uri", "image",
)  # fmt: skip
EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
COVERAGE = re.compile(r"cov: (\d+)")


def main() -> int:
    """Runs the targets one after the other; 1 where one of them found something."""
    parser = argparse.ArgumentParser(description="Coverage-guided fuzzing of every reader.")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--target", action="append", choices=NAMES, help="default: all")
    parser.add_argument("--corpus", type=Path, default=HERE.parent.parent / ".fuzz")
    parser.add_argument("--log", type=Path, help="append one JSON line for each target run")
    options, inner = parser.parse_known_args()
    if inner and inner[0] == "--inner":
        return fuzz(inner[1], inner[2:])
    targets = options.target or list(NAMES)
    total, faults = 0, 0
    for target in targets:
        seconds = max(1, round(options.seconds / len(targets)))
        executions, coverage, failed = run(target, seconds, options.corpus / target)
        total += executions
        faults += failed
        verdict = "FOUND SOMETHING" if failed else "kept its promises"
        print(f"{target:13} {executions:>12,} executions, coverage {coverage:>6}: {verdict}")
        if options.log:
            row = {"target": target, "executions": executions, "failed": failed}
            with options.log.open("a") as log:
                log.write(json.dumps(row) + "\n")
    print(f"{'all':13} {total:>12,} executions, {faults} targets with a fault")
    return 1 if faults or not total else 0


def run(target: str, seconds: int, corpus: Path) -> tuple[int, int, bool]:
    """Fuzzes one target in a process of its own: executions, coverage, whether it failed."""
    sys.path.insert(0, str(HERE.parent))
    from targets import seeds

    corpus.mkdir(parents=True, exist_ok=True)
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    for seed in seeds(target):
        (corpus / hashlib.sha256(seed).hexdigest()[:32]).write_bytes(seed)
    command = [sys.executable, str(Path(__file__)), "--inner", target, str(corpus)]
    options = [
        f"-max_total_time={seconds}",
        "-max_len=16384",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={found}/",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, errors="replace")
    log = done.stdout + done.stderr
    if done.returncode:
        print(log[-6000:], file=sys.stderr)
    if not any(found.iterdir()):
        found.rmdir()
    counts = EXECUTIONS.findall(log)
    coverage = COVERAGE.findall(log)
    return (
        int(counts[-1]) if counts else 0,
        int(coverage[-1]) if coverage else 0,
        done.returncode != 0 or not counts,
    )


def fuzz(target: str, arguments: list[str]) -> int:
    """The process that fuzzes; libFuzzer ends it."""
    atheris: Any = importlib.import_module("atheris")

    sys.path[:0] = [str(HERE), str(HERE.parent)]
    with atheris.instrument_imports(include=["mmraw_protocol", "json"]):
        import targets
    atheris.Setup([sys.argv[0], *arguments], targets.TARGETS[target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
