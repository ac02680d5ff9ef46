"""Conversations that grow: every turn carries the images of all turns before it.

Built again each turn, a conversation of n turns costs n * n; here each image is written once, and
read once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from ._generated.dialects import DEFAULT_DIALECT
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.types import PlaceholderRange
from .features import MAPS, MultiModalData, build_features, check_count, check_overlap
from .ref import RawMMRef, parse_ref


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
        """Appends the images of one turn; where one is rejected, nothing of the turn is kept.

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


class RefMemory:
    """Remembers the refs that short texts stand for, for as long as one conversation is read.

    It saves reading a text again, and is no cache of images: what a text means never depends on it.
    Long texts carry their image and are read each time; hashing them would cost as much.

    Args:
        capacity: Most characters of the texts that are kept; the least recently read go first.
        limits: What refs may hold.
    """

    #: Texts that are longer are not kept.
    LONGEST = 8192

    def __init__(self, capacity: int = 16 * 2**20, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.capacity = capacity
        self.limits = limits
        self._refs: OrderedDict[str, RawMMRef] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._refs)

    def parse_ref(self, text: str) -> RawMMRef:
        """`parse_ref(text)`, which is a value that nobody can change.

        Raises:
            MMRawError: what `parse_ref` raises; an error is not remembered.
        """
        if not isinstance(text, str) or len(text) > self.LONGEST:  # pyright: ignore[reportUnnecessaryIsInstance]
            return parse_ref(text, limits=self.limits)
        with self._lock:
            ref = self._refs.get(text)
            if ref is not None:
                self._refs.move_to_end(text)
                return ref
        ref = parse_ref(text, limits=self.limits)
        if isinstance(ref.payload, dict):
            # An opaque payload is a dict, which a caller could change.
            return ref
        with self._lock:
            if text not in self._refs:
                self._refs[text] = ref
                self._size += len(text)
            while self._size > self.capacity:
                gone, _ = self._refs.popitem(last=False)
                self._size -= len(gone)
        return ref
