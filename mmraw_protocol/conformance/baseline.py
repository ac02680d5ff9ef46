"""A baseline of expected failures: a run passes with them, and fails once one is no longer true.

The file is JSON, `{"version": 2, "known": {id: {"status", "reason", "link"}}}`, sorted by id, so
that a review shows what came and went. status is `failed` or `errored`; reason says why it is
expected, and link leads to where that is decided or mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ..wire.errors import MMRawError
from .answers import Outcome

_FAILURES = ("failed", "errored")


class ExpectedFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of a baseline."""

    status: Literal["failed", "errored"]
    reason: Annotated[str, msgspec.Meta(pattern=r"\S")]
    link: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+$")]


Baseline = Mapping[str, ExpectedFailure]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[2]
    known: dict[str, ExpectedFailure]


@dataclass(frozen=True)
class Comparison:
    """A run beside its baseline.

    Attributes:
        new: Failures that the baseline does not know, or knows with another status.
        known: Failures that it does know.
        expected: The baseline's entries.
        stale: id -> why the entry must go.
    """

    new: tuple[Outcome, ...]
    known: tuple[Outcome, ...]
    expected: Baseline
    stale: dict[str, str]


def read_baseline(path: Path) -> dict[str, ExpectedFailure]:
    """The entries by the ids of their vectors.

    Raises:
        MMRawError: source_unavailable; invalid_json; invalid_value, for anything but a baseline.
    """
    problem: MMRawError
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).known
    except OSError:
        problem = MMRawError("source_unavailable", "expected a readable file as baseline, got none")
    except msgspec.ValidationError:
        message = (
            "expected a baseline, an object of version (2) and known; each entry has a status "
            "(failed or errored), a reason, and a link that begins with http:// or https://"
        )
        problem = MMRawError("invalid_value", message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        problem = MMRawError("invalid_json", "expected a JSON document as baseline, got other text")
    raise problem


def write_baseline(path: Path, outcomes: Iterable[Outcome], reason: str, link: str) -> None:
    """Writes every failure of a run.

    An entry of an earlier file at `path` is kept where it is still true; any other failure gets
    `reason` and `link`.

    Raises:
        MMRawError: invalid_value, for a reason or link that no baseline may have; what
            `read_baseline` raises of the earlier file.
    """
    before = read_baseline(path) if path.exists() else {}
    known = {found.id: found.status for found in outcomes if found.status in _FAILURES}
    entries = {
        name: before[name]
        if name in before and before[name].status == status
        else {"status": status, "reason": reason, "link": link}
        for name, status in sorted(known.items())
    }
    data = msgspec.json.encode({"version": 2, "known": entries})
    try:
        msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError:
        data = b""
    if not data:
        message = "expected a text in --reason, and http:// or https:// at the start of --link"
        raise MMRawError("invalid_value", message)
    path.write_bytes(msgspec.json.format(data, indent=2) + b"\n")


def compare(
    outcomes: Iterable[Outcome], baseline: Baseline, known_ids: Iterable[str]
) -> Comparison:
    """Sorts failures into new, known and stale.

    Args:
        outcomes: Of the run, which may be of some vectors only.
        baseline: The entries by the ids of their vectors.
        known_ids: Every id there is: an entry with another one is stale in every run.
    """
    new: list[Outcome] = []
    known: list[Outcome] = []
    stale = dict.fromkeys(sorted(set(baseline) - set(known_ids)), "no such vector")
    for found in outcomes:
        entry = baseline.get(found.id)
        expected = None if entry is None else entry.status
        if found.status in _FAILURES:
            (known if expected == found.status else new).append(found)
        if expected is not None and expected != found.status:
            stale[found.id] = f"known as {expected}, but now {found.status}"
    return Comparison(tuple(new), tuple(known), baseline, stale)
