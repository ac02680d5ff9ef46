"""The vectors in another project's test suite, in one line.

In a test file::

    from mmraw_protocol.conformance.pytest_plugin import conformance_tests

    test_mmraw = conformance_tests(["node", "implementation.js"])

or, without any test file, as a plugin::

    pytest -p mmraw_protocol.conformance.pytest_plugin --mmraw-conformance "node implementation.js"

Either way the vectors are grouped by operation and origin, one test case each, so that workers
share them and `-k` chooses among them. A case fails with every vector that failed, with faults of
the run, and with entries of the baseline that are stale.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from .answers import FAULTS
from .baseline import Comparison, compare, read_baseline
from .runner import Options, Report, StartError, run
from .vectors import Vector, read_vectors

__all__ = ["conformance_tests"]

_MOST_TOLD = 30


def conformance_tests(
    command: Sequence[str],
    *,
    baseline: str | Path | None = None,
    ops: Iterable[str] | None = None,
    options: Options | None = None,
) -> Callable[..., None]:
    """A test function that asks `command` every vector.

    Args:
        command: Program and arguments of the implementation.
        baseline: File of expected failures, as `mmraw conformance run --write-baseline` writes it.
        ops: Only these operations; the ones that the implementation does not list are skipped.
        options: Time limits and the like.
    """
    chosen = None if ops is None else set(ops)
    groups = {name: rows for name, rows in _groups().items() if chosen is None or name[0] in chosen}
    known = Path(baseline) if baseline is not None else None

    @pytest.mark.parametrize("group", groups, ids=map("-".join, groups))
    def test_conformance(group: tuple[str, str]) -> None:
        _ask(command, groups[group], known, options)

    return test_conformance


def _groups() -> dict[tuple[str, str], list[Vector]]:
    """Vectors by operation and origin (the part of the id before the slash)."""
    groups: dict[tuple[str, str], list[Vector]] = {}
    for vector in read_vectors():
        groups.setdefault((vector.op, vector.id.partition("/")[0]), []).append(vector)
    return dict(sorted(groups.items()))


def _ask(
    command: Sequence[str], vectors: list[Vector], known: Path | None, options: Options | None
) -> None:
    """Fails or skips as pytest does."""
    __tracebackhide__ = True
    baseline = read_baseline(known) if known else {}
    trouble = ""
    try:
        report = run(command, vectors, options)
    except StartError as failed:
        trouble = f"cannot be started: {failed}\n{failed.stderr}".strip()
    else:
        comparison = compare(report.outcomes, baseline, (v.id for v in read_vectors()))
        trouble = _trouble(report, comparison)
        if not trouble and report.counts["skipped"] == len(vectors):
            pytest.skip(f"the implementation skips all {len(vectors)} vectors")
    if trouble:
        pytest.fail(trouble, pytrace=False)


def _trouble(report: Report, comparison: Comparison) -> str:
    lines = [
        f"{found.id}: {found.status}: {found.reason}: {found.detail}" for found in comparison.new
    ]
    more = len(lines) - _MOST_TOLD
    lines = [*lines[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
    lines += [f"run: {f.kind} ({f.times}x): {FAULTS[f.kind]}; {f.detail}" for f in report.faults]
    lines += [f"baseline is stale: {name}: {why}" for name, why in comparison.stale.items()]
    return "\n".join(lines)


# The plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each with a setting of the same name for the configuration file."""
    group = parser.getgroup("mmraw", "conformance to the mmraw protocol")
    for name, text in (
        ("mmraw-conformance", "command of the implementation to test"),
        ("mmraw-baseline", "file of its expected failures"),
    ):
        group.addoption(f"--{name}", default=None, help=text)
        parser.addini(name.replace("-", "_"), text, default="")


def _setting(config: pytest.Config, name: str) -> str:
    return str(config.getoption(name) or config.getini(name) or "")


class ConformanceItem(pytest.Item):
    """One group of vectors."""

    def __init__(self, *, group: tuple[str, str], vectors: list[Vector], **rest: Any) -> None:
        super().__init__(**rest)  # pyright: ignore[reportUnknownMemberType]
        self._group = group
        self._vectors = vectors

    def runtest(self) -> None:
        """Asks the configured command."""
        baseline = _setting(self.config, "mmraw_baseline")
        command = shlex.split(_setting(self.config, "mmraw_conformance"))
        known = self.config.rootpath / baseline if baseline else None
        _ask(command, self._vectors, known, None)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Returns the location that pytest's reports print."""
        return self.config.rootpath, None, self.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds one item for each group, where a command is configured."""
    if not _setting(config, "mmraw_conformance"):
        return
    for group, vectors in _groups().items():
        name = f"mmraw_conformance[{'-'.join(group)}]"
        item = ConformanceItem.from_parent(  # pyright: ignore[reportUnknownMemberType]
            session, name=name, group=group, vectors=vectors
        )
        items.append(item)
