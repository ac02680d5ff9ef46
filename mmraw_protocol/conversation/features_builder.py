"""The features body of a conversation that grows: every turn carries the images of all before it.

Built again each turn, a conversation of n turns costs n * n; here each image is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..wire._generated.dialects import DEFAULT_DIALECT
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PlaceholderRange
from ..wire.features import MAPS, MultiModalData, build_features, check_count, check_overlap


class FeaturesBuilder:
    """The features body of one conversation, turn by turn.

    Args:
        dialect: A dialect of refs that is written.
        run_id: Label of the run that the refs name; required as soon as there is an image.
        limits: Most images of the body, and what refs allow.
    """

    def __init__(
        self,
        dialect: str = DEFAULT_DIALECT,
        *,
        run_id: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.dialect = dialect
        self.run_id = run_id
        self.limits = limits
        self._body: dict[str, dict[str, list[Any]]] = {name: {} for name in MAPS}
        self._count = 0
        self._end = 0

    def add(self, turn: MultiModalData | Mapping[str, Any]) -> None:
        """Appends the images of one turn; if one is rejected, nothing of the turn is kept.

        Raises:
            MMRawError: what `build_features` raises, with paths in `turn`.
        """
        body = build_features(turn, self.dialect, run_id=self.run_id, limits=self.limits)
        spans = [span for rows in body["mm_placeholders"].values() for span in rows]
        check_count(self._count + len(spans), self.limits)
        if spans and min(span["offset"] for span in spans) < self._end:
            self._check_apart(body["mm_placeholders"])
        for name in MAPS:
            for modality, rows in body[name].items():
                self._body[name].setdefault(modality, []).extend(rows)
        self._count += len(spans)
        self._end = max([self._end, *(span["offset"] + span["length"] for span in spans)])

    def _check_apart(self, turn: Mapping[str, list[dict[str, int]]]) -> None:
        """A turn with an offset before the end of earlier turns is compared with all of them."""
        kept = self._body["mm_placeholders"]
        joined = {name: [*kept.get(name, ()), *turn.get(name, ())] for name in {**kept, **turn}}
        check_overlap(
            {name: [PlaceholderRange(**row) for row in rows] for name, rows in joined.items()}
        )

    def body(self) -> dict[str, Any]:
        """The body of all turns so far, as `build_features` gives it for them merged."""
        return {
            name: {modality: list(rows) for modality, rows in self._body[name].items()}
            for name in MAPS
        }
