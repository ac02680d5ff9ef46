"""A baseline of known failures: a run passes with them, and fails once one is no longer true.

The file is JSON, `{"version": 1, "known": {id: status}}` with status `failed` or `errored`, sorted
by id, so that a review shows what came and went.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..wire.errors import MMRawError
from .answers import Outcome

_FAILURES = ("failed", "errored")


@dataclass(frozen=True)
class Comparison:
    """A run beside its baseline.

    Attributes:
        new: Failures that the baseline does not know, or knows with another status.
        known: Failures that it does know.
        stale: id -> why the entry must go.
    """

    new: tuple[Outcome, ...]
    known: tuple[Outcome, ...]
    stale: dict[str, str]


def read_baseline(path: Path) -> dict[str, str]:
    """id -> status.

    Raises:
        MMRawError: source_unavailable; invalid_json; invalid_value, for anything but a baseline.
    """
    problem: MMRawError | None = None
    value: Any = None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        problem = MMRawError("source_unavailable", "the baseline cannot be read")
    except (ValueError, RecursionError):
        problem = MMRawError("invalid_json", "the baseline is not JSON")
    if problem is not None:
        raise problem
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    known = fields.get("known")
    if set(fields) != {"version", "known"} or fields["version"] != 1 or not isinstance(known, dict):
        raise MMRawError("invalid_value", "a baseline is an object of version (1) and known")
    entries = cast("dict[str, Any]", known)
    if any(status not in _FAILURES for status in entries.values()):
        raise MMRawError("invalid_value", "expected failed or errored for each id", "$.known")
    return entries


def write_baseline(path: Path, outcomes: Iterable[Outcome]) -> int:
    """Writes every failure of a run; how many there are."""
    known = {found.id: found.status for found in outcomes if found.status in _FAILURES}
    text = json.dumps({"version": 1, "known": dict(sorted(known.items()))}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    return len(known)


def compare(
    outcomes: Iterable[Outcome], baseline: dict[str, str], known_ids: Iterable[str]
) -> Comparison:
    """What is new, known and stale.

    Args:
        outcomes: Of the run, which may be of some vectors only.
        baseline: id -> status.
        known_ids: Every id there is: an entry with another one is stale in every run.
    """
    new: list[Outcome] = []
    known: list[Outcome] = []
    stale = dict.fromkeys(sorted(set(baseline) - set(known_ids)), "no such vector")
    for found in outcomes:
        expected = baseline.get(found.id)
        if found.status in _FAILURES:
            (known if expected == found.status else new).append(found)
        if expected is not None and expected != found.status:
            stale[found.id] = f"known as {expected}, but now {found.status}"
    return Comparison(tuple(new), tuple(known), stale)
