"""Verifies of a ref what can be verified with what is at hand; reports every fault.

Without a store: fields that contradict one another, and an inline image against its hash and grid.
A store, the runs that are expected and a configuration each verify more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, cast

import msgspec

from ..families import Adapter, payload_lengths
from ..families.published import SCHEMES, known_adapter
from ..images import decode_rgb, read_header
from ..stores import AssetStore
from ..stores.names import digest_in
from ..stores.verify import verify_source
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.item import RawMMItem
from ..wire.ref import Payload, RawMMRef, normalize_run_id, parse_ref
from ..wire.ref_pattern import Pattern, not_known, text_of
from ..wire.ref_stream import read_ref
from .comparison import agrees, compare_fingerprint, compare_outer

__all__ = ["STEPS", "Step", "Verdict", "Verifier", "names_another_image"]

Step = Literal["run", "fingerprint", "hash", "placeholder", "source", "grid"]
#: The steps of verification, in the order of checks.
STEPS: tuple[Step, ...] = ("run", "fingerprint", "hash", "placeholder", "source", "grid")
Result = TypeVar("Result")

#: The result of a step that had nothing to read.
_UNREAD = object()
#: Patterns of refs that are known at once; a run has some hundreds.
_MOST_PATTERNS = 4096
#: A ref of fewer characters is read at once: an image in it is small.
_SHORT = 1 << 14


class Verdict(msgspec.Struct, kw_only=True, gc=False):
    """The steps that are right, those that are wrong, and those that were not verified.

    Attributes:
        steps: Each step: `ok`, `contradicts` or `unchecked`.
        faults: What is wrong, in the order of the steps.
        size: (width, height) of the image in pixels, if its bytes were at hand.
    """

    steps: dict[Step, str] = msgspec.field(
        default_factory=lambda: dict.fromkeys(STEPS, "unchecked")
    )
    faults: list[MMRawError] = []
    size: tuple[int, int] | None = None


class Verifier:
    """Verifies refs.

    Args:
        store: Where stored images are; None leaves their bytes unread.
        run_ids: The runs that refs may be of; None allows any.
        adapters: By family: the configuration that refs are compared with. Without one, a ref is
            compared with the published layout of its fingerprint.
        decode: Whether the pixels are decoded too.
        each: Whether each ref is looked at by itself, for those who note what it is.
        limits: Of images and grids.

    Raises:
        MMRawError: invalid_run_id.
    """

    def __init__(
        self,
        store: AssetStore | None = None,
        *,
        run_ids: Iterable[str] | None = None,
        adapters: Mapping[str, Adapter] | None = None,
        decode: bool = False,
        each: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.store = store
        self.run_ids = None if run_ids is None else frozenset(map(normalize_run_id, run_ids))
        self.adapters = dict(adapters or {})
        self.decode = decode
        self.each = each
        self.limits = limits
        self._demands = any((store is not None, run_ids is not None, self.adapters, decode))
        #: Patterns of refs that are right.
        self._patterns: set[bytes] = set()

    def verify(
        self,
        ref: RawMMRef,
        *,
        data: bytes | None = None,
        mm_hash: str | None = None,
        modality: str | None = None,
        placeholder_length: int | None = None,
    ) -> Verdict:
        """The verdict on a parsed ref.

        Args:
            ref: The ref.
            data: The bytes of its image, if they were read already.
            mm_hash: The hash that is listed with it, if any.
            modality: The modality under which it is listed.
            placeholder_length: The length of its placeholder, without the tokens around it.
        """
        is_alone = not self._demands and placeholder_length is mm_hash is None
        if is_alone and not ref.is_inline and not names_another_image(ref):
            # Most refs of files.
            return Verdict()
        work = _Work()
        if self.run_ids is not None and ref.run_id is not None:
            work.step("run", lambda: self._check_run(ref))
        adapter = self._adapter(ref, work)
        work.step("hash", lambda: _check_hashes(ref, mm_hash, modality), proves=False)
        if adapter is not None and placeholder_length is not None:
            work.step("placeholder", lambda: _check_length(ref, adapter, placeholder_length))
        if work.verdict.steps["run"] == "contradicts":
            return work.verdict
        found = data if data is not None else work.step("source", lambda: self._read(ref))
        if not isinstance(found, bytes):
            return work.verdict
        data = found
        work.step("hash", lambda: verify_source(ref, data))
        self._verify_image(ref.payload, adapter, data, work)
        return work.verdict

    def _verify_image(
        self, payload: Payload, adapter: Adapter | None, data: bytes, work: _Work
    ) -> None:
        size = work.verdict.size = work.step("source", lambda: self._size(data))
        if adapter is not None and size is not None:
            work.step("grid", lambda: self._check_grid(payload, adapter, size))

    def verify_text(self, text: str) -> tuple[RawMMRef, Verdict]:
        """The ref that a text is, and the verdict on it; an inline image is decoded once.

        Raises:
            MMRawError: the codes of `parse_ref`.
        """
        if len(text) < _SHORT:
            ref = parse_ref(text, limits=self.limits)
            return ref, self.verify(ref)
        pieces: list[bytes] = []
        ref, is_read = read_ref(text, pieces.append, limits=self.limits)
        return ref, self.verify(ref, data=b"".join(pieces) if is_read else None)

    def doubtful(self, texts: Sequence[bytes]) -> set[bytes]:
        """The refs, without their `mmraw:`, that `verify_text` has to see; the others are right.

        Refs with one pattern are right together, where no more is asked of them than what they say.
        """
        if self._demands or self.each:
            return set(texts)
        others = not_known(texts, self._patterns)
        return {text for text, pattern in others if pattern is None or not self._is_right(pattern)}

    def _is_right(self, pattern: Pattern) -> bool:
        """True if the refs of a pattern are right, which is then remembered."""
        right = False
        with contextlib.suppress(MMRawError):
            ref, verdict = self.verify_text(text_of(pattern[0]))
            # Any text may be in the payload of another family.
            right = not (verdict.faults or ref.is_inline or isinstance(ref.payload, dict))
        if right:
            if len(self._patterns) >= _MOST_PATTERNS:
                self._patterns.clear()
            self._patterns.add(pattern[0])
        return right

    def verify_item(self, item: RawMMItem) -> Verdict:
        """The verdict on an envelope, whose hash is that of its image."""
        adapter = self.adapters.get(item.family)
        if adapter is None and item.layout_fingerprint is not None:
            adapters = (
                known_adapter(item.family, item.layout_fingerprint, dialect)
                for dialect in SCHEMES.values()
            )
            adapter = next((one for one in adapters if one is not None), None)
        work = _Work()
        if item.raw_uri is not None and item.raw_uri.startswith("data:"):
            data = parse_data_uri(item.raw_uri, limits=self.limits).data
            self._verify_image(item.payload, adapter, data, work)
        return work.verdict

    def _check_run(self, ref: RawMMRef) -> None:
        if ref.run_id not in cast("frozenset[str]", self.run_ids):
            message = "the ref is of another run than those that were named"
            raise MMRawError("run_mismatch", message, "$.run_id")

    def _adapter(self, ref: RawMMRef, work: _Work) -> Adapter | None:
        """The adapter to compare with; None if the ref's layout parameters are unknown here."""
        given = self.adapters.get(ref.family)
        if given is None:
            return known_adapter(ref.family, ref.fingerprint, ref.dialect)
        if ref.fingerprint is None:
            return given
        work.step("fingerprint", lambda: compare_fingerprint(ref, given))
        if work.verdict.steps["fingerprint"] == "ok":
            return given
        return known_adapter(ref.family, ref.fingerprint, ref.dialect)

    def _read(self, ref: RawMMRef) -> bytes | object:
        if ref.is_inline:
            return parse_data_uri(cast(str, ref.raw_uri), limits=self.limits).data
        if self.store is None:
            if not self.decode:
                return _UNREAD
            message = "the ref names a stored image and no store was given"
            raise MMRawError("source_unavailable", message, "$.raw_image_id")
        self.store.check_run(ref.run_id)
        return self.store.get(cast(str, ref.stored_name), run_id=ref.run_id)

    def _size(self, data: bytes) -> tuple[int, int]:
        if self.decode:
            image = decode_rgb(data, limits=self.limits)
            return image.width, image.height
        header = read_header(data, limits=self.limits)
        return header.width, header.height

    def _check_grid(self, payload: Payload, adapter: Adapter, size: tuple[int, int]) -> None:
        layout = adapter.layout(*size, limits=self.limits)
        if not agrees(adapter.parse_payload(payload), layout.payload):
            width, height = size
            message = f"expected the payload of an image of {width} x {height} pixels, got another"
            raise MMRawError("grid_mismatch", message, "$.payload")


class _Work:
    """The steps of one ref."""

    def __init__(self) -> None:
        self.verdict = Verdict()

    def step(
        self, name: Step, check: Callable[[], Result], *, proves: bool = True
    ) -> Result | None:
        """Runs a check and notes what came of it; one that proves nothing can only contradict."""
        steps = self.verdict.steps
        try:
            result = check()
        except MMRawError as error:
            if steps[name] != "contradicts":
                self.verdict.faults.append(error)
            steps[name] = "contradicts"
            return None
        if proves and result is not _UNREAD and steps[name] != "contradicts":
            steps[name] = "ok"
        return result


def names_another_image(ref: RawMMRef) -> bool:
    """True if the name of the stored image promises another hash than mm_hash."""
    promised = digest_in(ref.stored_name or "")
    if promised is None:
        return False
    return not (promised.startswith(ref.mm_hash) or ref.mm_hash.startswith(promised))


def _check_hashes(ref: RawMMRef, mm_hash: str | None, modality: str | None) -> None:
    compare_outer(ref, mm_hash, modality)
    if names_another_image(ref):
        message = "mm_hash contradicts raw_image_id: the two name different images"
        raise MMRawError("hash_mismatch", message, "$.mm_hash")


def _check_length(ref: RawMMRef, adapter: Adapter, length: int) -> None:
    lengths = payload_lengths(adapter, adapter.parse_payload(ref.payload))
    if length not in lengths:
        allowed = " or ".join(map(str, sorted(set(lengths))))
        message = f"placeholder length {length}, the grid gives {allowed} tokens"
        raise MMRawError("placeholder_mismatch", message, "$.placeholder_length")
