"""Notes on what the images of files are: their forms, families, sizes and tokens."""

from __future__ import annotations

import contextlib
from functools import lru_cache

import msgspec

from ..families import get_adapter
from ..images import read_header
from ..stores.names import digest_in
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import mm_hash_of, sha256_hex
from ..wire.item import RawMMItem
from ..wire.ref import PREFIXES, RawMMRef, is_ref, parse_ref
from .facts import Note
from .job import Job, Rewriter
from .jobs import DATA_HEAD
from .moving_images import most_ref_bytes
from .prefixes import StringPrefixes

_adapter_of = lru_cache(64)(get_adapter)


def notes_of(image: RawMMRef | RawMMItem) -> list[Note]:
    """Notes on a ref or an envelope that was parsed."""
    data: bytes | None = None
    if image.raw_uri is not None and image.raw_uri.startswith("data:"):
        data = parse_data_uri(image.raw_uri).data
    if isinstance(image, RawMMRef):
        name, form = image.mm_hash, "ref"
    else:
        digest = digest_in(image.raw_image_id or "") if data is None else sha256_hex(data)
        name, form = mm_hash_of(digest or ""), "envelope"
    notes = [(f"image:{name}", len(data or b"")), (f"form:{form} {image.dialect}", 1)]
    notes.append((f"family:{image.family}", 1))
    with contextlib.suppress(MMRawError):
        tokens = _adapter_of(image.family).num_tokens(image.payload)
        notes.append((f"tokens:{image.family}", tokens))
    return notes


def _notes_of_string(text: str) -> list[Note]:
    """Notes on a ref or data: image.

    Raises:
        MMRawError: what parsing it raises.
    """
    if is_ref(text):
        return notes_of(parse_ref(text))
    if not DATA_HEAD.match(text):
        return []
    data = parse_data_uri(text).data
    header = read_header(data)
    # As long as the hash of a ref: one image may be in both forms.
    name, size = mm_hash_of(sha256_hex(data)), f"{header.width}x{header.height}"
    return [(f"image:{name}", len(data)), (f"size:{size}", 1), ("form:data: URL", 1)]


class NotingJob(Shown, msgspec.Struct, frozen=True):
    """Notes what each string is that a job rewrites; without a job, each ref and data: image.

    A job's rewriter is asked for one string after the other, which takes longer.
    """

    job: Job | None = None

    def open(self) -> Rewriter:
        """The rewriter."""
        return _Looking() if self.job is None else _Noting(self.job.open())


class _Looking:
    """Changes nothing."""

    prefixes = StringPrefixes([*PREFIXES, "data:image"], any_case=True, bare=PREFIXES)

    def __init__(self) -> None:
        self.most = most_ref_bytes(DEFAULT_LIMITS)
        self._notes: list[Note] = []

    def rewrite(self, text: str, key: str | None) -> str:
        self._notes += _notes_of_string(text)
        return text

    def drain_stats(self) -> list[Note]:
        notes, self._notes = self._notes, []
        return notes


class _Noting:
    """Passes strings on."""

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter = rewriter
        self.prefixes, self.most = rewriter.prefixes, rewriter.most
        self._notes: list[Note] = []

    def rewrite(self, text: str, key: str | None) -> str:
        new = self._rewriter.rewrite(text, key)
        # Jobs take strings that are no images, such as words about data: URLs.
        with contextlib.suppress(MMRawError):
            self._notes += _notes_of_string(text)
        return new

    def drain_stats(self) -> list[Note]:
        notes = [*self._rewriter.drain_stats(), *self._notes]
        self._notes = []
        return notes
