"""A conversation that grows repeats the refs of all turns before it: each is read once."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from ._generated.limits import DEFAULT_LIMITS, Limits
from .ref import RawMMRef, parse_ref


class RefMemory:
    """Remembers the parsed refs of short texts while one conversation is read.

    It saves reading a text again, and is no cache of images: what a text means never depends on it.
    Long texts carry their image and are read each time; hashing them would cost as much.

    Args:
        capacity: Most characters of the texts that are kept; the least recently read go first.
        limits: What refs may hold.
    """

    #: Texts that are longer are not kept.
    MAX_CHARS = 8192

    def __init__(self, capacity: int = 16 * 2**20, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.capacity = capacity
        self.limits = limits
        self._refs: OrderedDict[str, RawMMRef] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._refs)

    def parse_ref(self, text: str) -> RawMMRef:
        """Returns `parse_ref(text)`, which is immutable.

        Raises:
            MMRawError: what `parse_ref` raises; an error is not remembered.
        """
        if not isinstance(text, str) or len(text) > self.MAX_CHARS:  # pyright: ignore[reportUnnecessaryIsInstance]
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
