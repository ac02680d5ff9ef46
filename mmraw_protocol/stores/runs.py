"""The runs for which a store may be used; every kind of store asks here.

Source: spec/README.md, section "Stores".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..wire.check import expected
from ..wire.errors import MMRawError
from ..wire.ref import normalize_run_id

#: The folder of a run's images, below the run's directory or key prefix.
IMAGE_SUBDIR = ("assets", "images")


class RunScope(msgspec.Struct, frozen=True):
    """The run, or the runs under a root, that a store was opened for.

    Attributes:
        run_id: The one run; None accepts any.
        run_ids: The runs that may be used under a root; None for a store of one run.
    """

    run_id: str | None = None
    run_ids: frozenset[str] | None = None

    def shown(self) -> dict[str, object]:
        """Returns what a store's `repr` shows of it."""
        if self.run_ids is None:
            return {"run_id": self.run_id}
        return {"run_ids": tuple(sorted(self.run_ids)[:4])}

    @classmethod
    def of(cls, run_id: str | None, run_ids: Iterable[str] | None) -> RunScope:
        """Makes the scope of the labels that a user gives.

        Raises:
            MMRawError: store_invalid (both), invalid_type, invalid_run_id.
        """
        if isinstance(run_ids, (str, bytes)):
            message = "expected run_ids, a list of labels; got one string, which run_id takes"
            raise MMRawError("invalid_type", message)
        if run_id is not None and run_ids is not None:
            raise MMRawError("store_invalid", "expected run_id or run_ids, got both")
        one = None if run_id is None else _label(run_id)
        labels: Any = run_ids
        if labels is not None and not isinstance(labels, Iterable):
            raise MMRawError("invalid_type", expected("run_ids, a list of labels", labels))
        several = None if run_ids is None else frozenset(map(_label, run_ids))
        return cls(one, several)

    def check(self, run_id: str | None) -> None:
        """Refuses a run that the store was not opened for.

        Raises:
            MMRawError: run_mismatch, invalid_run_id.
        """
        if run_id is None:
            if self.run_ids is not None:
                message = "expected a run in the ref, since the store holds several; got none"
                raise MMRawError("run_mismatch", message, "$.run_id")
            return
        label = _label(run_id)
        allowed = {self.run_id, None} if self.run_ids is None else self.run_ids
        if label not in allowed and allowed != {None}:
            message = "the store is not open for the run that the ref names"
            raise MMRawError("run_mismatch", message, "$.run_id")

    def parts(self, run_id: str | None) -> tuple[str, ...]:
        """The path of a run's images below the store's place; empty for a store of one run.

        Raises:
            MMRawError: run_mismatch, invalid_run_id.
        """
        self.check(run_id)
        if self.run_ids is None or run_id is None:
            return ()
        return (f"run_{_label(run_id)}", *IMAGE_SUBDIR)


def _label(run_id: str) -> str:
    value: Any = run_id
    if not isinstance(value, str):
        raise MMRawError("invalid_type", expected("a run's label, a string", run_id), "$.run_id")
    return normalize_run_id(run_id)
