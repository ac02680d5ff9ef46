"""What the images of files are: the sums of the notes on each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from ..system.shown import Shown

#: Images that are recognized when duplicates are counted: the latest, and at least half as many.
_DISTINCT = 262_144
#: What a note is about, and a number. An image that moves is named by its sha256, with its bytes. A
#: fact is `image:HASH` with bytes, `form:NAME`, `family:NAME` or `size:NAME` with 1, and
#: `tokens:FAMILY`.
Note = tuple[str, int]


class Distinct(Shown, msgspec.Struct):
    """Images, how many are distinct, and their bytes.

    Attributes:
        seen: The bytes of those that are recognized, by their hash.
    """

    images: int = 0
    distinct: int = 0
    image_bytes: int = 0
    distinct_bytes: int = 0
    seen: dict[str, int] = {}

    def add(self, name: str, size: int) -> None:
        """Counts an image."""
        self.images += 1
        self.image_bytes += size
        self._see(name, size)
        self._forget()

    def merge(self, other: Distinct) -> None:
        """Adds what was found in a later part."""
        self.images += other.images
        self.image_bytes += other.image_bytes
        # What the other has forgotten counts as new.
        self.distinct += other.distinct - len(other.seen)
        self.distinct_bytes += other.distinct_bytes - sum(other.seen.values())
        for name, size in other.seen.items():
            self._see(name, size)
        self._forget()

    def _see(self, name: str, size: int) -> None:
        # The latest is last, so that what every turn repeats is never forgotten.
        if self.seen.pop(name, None) is None:
            self.distinct += 1
            self.distinct_bytes += size
        self.seen[name] = size

    def _forget(self) -> None:
        if len(self.seen) > _DISTINCT:
            self.seen = dict(islice(self.seen.items(), len(self.seen) - _DISTINCT // 2, None))

    def report(self) -> dict[str, int]:
        """The counts for a report."""
        return {
            "images": self.images,
            "duplicates": self.images - self.distinct,
            "image_bytes": self.image_bytes,
            "distinct_bytes": self.distinct_bytes,
        }


class Facts(Shown, msgspec.Struct):
    """What was noted of images.

    Attributes:
        moved: Images that a job moved.
        found: Images that were looked at.
        by: Counts by form, family and size, and tokens by family.
    """

    moved: Distinct = msgspec.field(default_factory=Distinct)
    found: Distinct = msgspec.field(default_factory=Distinct)
    by: dict[str, dict[str, int]] = {}

    def note(self, notes: Iterable[Note]) -> None:
        """Adds notes."""
        for text, number in notes:
            kind, is_fact, name = text.partition(":")
            if not is_fact:
                self.moved.add(kind, number)
            elif kind == "image":
                self.found.add(name, number)
            else:
                self._count(kind, name, number)

    def merge(self, other: Facts) -> None:
        """Adds what was noted of a later part."""
        self.moved.merge(other.moved)
        self.found.merge(other.found)
        for kind, counts in other.by.items():
            for name, number in counts.items():
                self._count(kind, name, number)

    def _count(self, kind: str, name: str, number: int) -> None:
        counts = self.by.setdefault(kind, {})
        counts[name] = counts.get(name, 0) + number

    def report(self) -> dict[str, Any]:
        """What was found, for a report; the most frequent sizes of images without a ref."""
        sizes = sorted(self.by.get("size", {}).items(), key=lambda item: -item[1])
        return {
            **self.found.report(),
            "forms": self.by.get("form", {}),
            "families": self.by.get("family", {}),
            "tokens": self.by.get("tokens", {}),
            "sizes": dict(sizes[:20]),
        }
