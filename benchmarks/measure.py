"""Timing: contestants take turns, so that whatever else the machine does hits all of them alike.

Time is the processor's time of this process (user and system), so that waiting for other processes
does not count; only what several processes do together is measured by the clock.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Work = Callable[[], object]

#: Seconds that one sample of one contestant takes at the least, by repetition.
SAMPLE_SECONDS = 0.004


class Timing:
    """Samples of contestants that took turns: seconds of one call, round by round."""

    def __init__(self, samples: Mapping[str, list[float]]) -> None:
        self.samples = samples

    def median(self, name: str) -> float:
        """Seconds of one call."""
        return statistics.median(self.samples[name])

    def ratio(self, slower: str, faster: str) -> float:
        """The time of one as a multiple of the other's: the median over the rounds' own ratios."""
        pairs = zip(self.samples[slower], self.samples[faster], strict=True)
        return statistics.median(a / b for a, b in pairs)

    def spread(self, slower: str, faster: str) -> tuple[float, float]:
        """The quartiles of the rounds' ratios."""
        pairs = zip(self.samples[slower], self.samples[faster], strict=True)
        ratios = sorted(a / b for a, b in pairs)
        return ratios[len(ratios) // 4], ratios[(3 * len(ratios)) // 4]


def interleaved(contestants: Mapping[str, Work], rounds: int) -> Timing:
    """Every contestant once a round, in an order that turns with the rounds."""
    repeats = {name: _calibrated(work) for name, work in contestants.items()}
    names = list(contestants)
    samples: dict[str, list[float]] = {name: [] for name in names}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                samples[name].append(_timed(contestants[name], repeats[name]))
            gc.collect()
    finally:
        if enabled:
            gc.enable()
    return Timing(samples)


def _timed(work: Work, repeats: int) -> float:
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / repeats


def timed_process(call: list[str]) -> tuple[float, resource.struct_rusage]:
    """Seconds by the clock of a command, and what it used, its own children included."""
    started = time.perf_counter()
    child = subprocess.Popen(call, stdout=subprocess.DEVNULL)
    # The child's own children, such as workers, are counted with it.
    _, status, usage = os.wait4(child.pid, 0)
    elapsed = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{call} ended with {child.returncode}")
    return elapsed, usage


def _calibrated(work: Work) -> int:
    """The number of calls in one sample."""
    work()
    repeats = 1
    while _timed(work, repeats) * repeats < SAMPLE_SECONDS:
        repeats *= 2
    return repeats


def processes(commands: Mapping[str, list[str]], rounds: int, *, by_clock: bool = False) -> Timing:
    """Measures processes that take turns: processor time, or seconds by the clock."""
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            started, before = time.perf_counter(), _children()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{name} failed: {done.stderr[-500:]}")
            elapsed, used = time.perf_counter() - started, _children() - before
            samples[name].append(elapsed if by_clock else used)
    return Timing(samples)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def machine() -> dict[str, Any]:
    """Describes the machine and the versions on which the figures were measured."""
    packages = ("msgspec", "pybase64", "pillow")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in packages},
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            rows = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return platform.processor()
    names = {key.strip(): value.strip() for key, value in rows.items()}
    family = (names.get("cpu family"), names.get("model"))
    return f"{names.get('model name', 'unknown')} (family {family[0]}, model {family[1]})"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def python(code: str) -> list[str]:
    """The command that runs `code` in this interpreter."""
    return [sys.executable, "-c", code]
