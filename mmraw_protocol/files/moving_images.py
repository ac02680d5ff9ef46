"""Images in files that move into a store, or out of it: what both ways share."""

from __future__ import annotations

import abc
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
from ..wire.ref import PREFIX, RawMMRef, parse_ref

#: Keys of refs and envelopes: the image under them belongs to a whole that converting changes.
ENVELOPE_KEYS = frozenset({"raw_uri", "raw_image_uri", "raw_image_data", "raw_ref"})
#: Refs that are not moved again while they are known, and how long what became of one may be.
_KNOWN = 4096
_KNOWN_CHARS = 4096


def most_ref_bytes(limits: Limits) -> int:
    """Bytes of the longest ref, as a string of JSON."""
    inline = limits.inline_image_bytes // 3 * 4 + 4 + limits.payload_bytes + 8192
    # Inline images stand in base64 within base64; escapes may double what is short.
    return 2 * (inline // 3 * 4 + 4)


def url_start(store: AssetStore) -> str:
    """The beginning of every URL of the store."""
    name = "0.png"
    return store.url(name)[: -len(name)]


class MovingImages(abc.ABC):
    """A rewriter that moves images into the store or out of it; every other string stays."""

    def __init__(self, storage: Storage, store: AssetStore | None, limits: Limits) -> None:
        self._storage: Storage = storage
        self._store = store
        self._limits = limits
        self.most = most_ref_bytes(limits)
        self._known: OrderedDict[str, tuple[str, tuple[str, int]]] = OrderedDict()
        #: (sha256, bytes) of images, in the order in which they stand.
        self._notes: list[tuple[str, int]] = []

    def rewrite(self, text: str, key: str | None) -> str:
        """The ref or URL of the image in the other place."""
        if key in ENVELOPE_KEYS:
            return text
        return self._moved_ref(text) if text.startswith(PREFIX) else self.moved(text, key)

    @abc.abstractmethod
    def moved(self, text: str, key: str | None) -> str:
        """The same for a string that is no ref."""

    def drain_stats(self) -> list[tuple[str, int]]:
        """The notes so far, which are cleared."""
        notes, self._notes = self._notes, []
        return notes

    def _moved_ref(self, text: str) -> str:
        ref = parse_ref(text, limits=self._limits)
        wire = DIALECTS[ref.dialect]
        can_move = {"raw_image_id", "raw_uri"} <= wire.attributes
        if not can_move or ref.is_inline != (self._storage == "offload") or not self._is_here(ref):
            return text
        # Each turn of a conversation carries the refs of all before.
        key = sha256_hex(text.encode("ascii"))
        new, note = self._known.pop(key, None) or self._move(text, ref)
        self._notes.append(note)
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
