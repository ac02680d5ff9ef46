"""A job that notes what the images of files are: their forms, families, sizes and tokens."""

from __future__ import annotations

import contextlib

import msgspec

from ..images import read_header
from ..system.shown import Shown
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.hashes import mm_hash_of, sha256_hex
from ..wire.ref import PREFIXES, is_ref, parse_ref
from .facts import Note
from .job import Job, Rewriter
from .jobs import DATA_HEAD
from .moving_images import most_ref_bytes
from .notes import notes_of
from .prefixes import StringPrefixes


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
