"""Refs in files whose image moves into a store, or out of it into the ref."""

from __future__ import annotations

from collections import OrderedDict

from ..images import read_header
from ..stores import AssetStore
from ..stores.base import Storage
from ..stores.convert import RefConverter
from ..stores.verify import read_verified
from ..wire._generated.dialects import DIALECTS
from ..wire._generated.limits import Limits
from ..wire.errors import MMRawError
from ..wire.hashes import sha256_hex
from ..wire.ref import RawMMRef, parse_ref

#: Refs that are not moved again while they are known, and how long what became of one may be.
_KNOWN = 4096
_KNOWN_CHARS = 4096


class MovingRefs:
    """Refs whose image moves into the store or out of it; every other ref stays as it is."""

    def __init__(self, storage: Storage, store: AssetStore | None, limits: Limits) -> None:
        self._storage: Storage = storage
        self._store = store
        self._limits = limits
        inline = limits.inline_image_bytes // 3 * 4 + 4 + limits.payload_bytes + 8192
        self.most = 2 * (inline // 3 * 4 + 4)
        self._known: OrderedDict[str, tuple[str, tuple[str, int]]] = OrderedDict()
        #: (sha256, bytes) of images, in the order in which they stand; others may add theirs.
        self.notes: list[tuple[str, int]] = []

    def moved(self, text: str) -> str:
        """The ref with its image in the other place.

        Raises:
            MMRawError: what `parse_ref` and `convert_ref` raise.
        """
        ref = parse_ref(text, limits=self._limits)
        wire = DIALECTS[ref.dialect]
        can_move = {"raw_image_id", "raw_uri"} <= wire.attributes
        if not can_move or ref.is_inline != (self._storage == "offload") or not self._is_here(ref):
            return text
        # Each turn of a conversation carries the refs of all before.
        key = sha256_hex(text.encode("ascii"))
        new, note = self._known.pop(key, None) or self._move(text, ref)
        self.notes.append(note)
        if len(new) <= _KNOWN_CHARS:
            self._known[key] = new, note
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return new

    def _move(self, text: str, ref: RawMMRef) -> tuple[str, tuple[str, int]]:
        data = read_verified(ref, self._store, limits=self._limits)
        read_header(data, limits=self._limits)
        note = sha256_hex(data), len(data)
        if self._store is None:
            return text, note
        storage, limits = self._storage, self._limits
        converter = RefConverter(
            ref.dialect, None, None, self._store, storage=storage, limits=limits
        )
        return converter.convert(text), note

    def _is_here(self, ref: RawMMRef) -> bool:
        """Whether the store is open for the ref's run; images of others stay where they are."""
        try:
            if self._store is not None:
                self._store.check_run(ref.run_id)
        except MMRawError:
            return False
        return True

    def take_notes(self) -> list[tuple[str, int]]:
        """The notes so far, which are cleared."""
        notes = self.notes.copy()
        self.notes.clear()
        return notes
