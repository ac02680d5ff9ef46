"""Turns a ref back into the pixels that were meant: read once, verify, decode, compare.

Source: spec/README.md, section "Order of checks".
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import msgspec

from ..families import Adapter, get_adapter
from ..images import DecodedImage, decode_rgb
from ..images.decode import Isolation
from ..images.isolation import IsolatedDecoder
from ..images.pixels import Frames
from ..stores import AssetStore
from ..stores.verify import verify_source
from ..system.forks import forget_after_fork
from ..system.ordered import in_order
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.features import Slot
from ..wire.hashes import sha256_hex
from ..wire.json import canonical_json
from ..wire.ref import RawMMRef
from ..wire.ref_stream import read_ref
from .cache import SingleFlightCache
from .comparison import compare_layout, compare_outer
from .image import MaterializedImage
from .stats import Stats

if TYPE_CHECKING:
    import asyncio

__all__ = ["CACHE_ENV", "IsolatedDecoder", "MaterializedImage", "Materializer", "Stats"]

Result = TypeVar("Result")

#: Gigabytes of decoded pixels to keep; 0 turns the cache off.
CACHE_ENV = "PRIME_RL_MM_MATERIALIZE_CACHE_GB"
DEFAULT_CACHE_BYTES = 2 * 1024**3


class Materializer:
    """Turns refs into pixels, for servers and trainers.

    Args:
        store: Where stored images are; None allows inline refs only.
        limits: Of refs, images and grids.
        cache_bytes: Most bytes of decoded pixels to keep; 0 for none; None takes the environment's
            PRIME_RL_MM_MATERIALIZE_CACHE_GB, or 2 GiB.
        adapters: The processor's adapter for each family; a family that is absent is served by
            `get_adapter(family)` with its defaults, unless `families` leaves it out.
        families: The families that are allowed; None allows every one that has an adapter.
        frames: `single` refuses animations, `first` takes their first frame.
        isolation: `process` decodes in worker processes, so that a decoder that crashes, hangs or
            outgrows its memory costs one image and not the server; an `IsolatedDecoder` does so
            with settings of one's own (its limits and frames count). `auto` decodes in this
            process, and in workers that the whole process shares what would take more than 8 bytes
            a pixel and 32 MiB here (see `decode_rgb`). `off` starts no process, however much memory
            an image takes.
        stage: Entered with `read` (from the store), `verify` and `decode` around each, to
            measure them.

    Safe to share between threads. `close` ends the threads, and the workers of `process`; those
    that are shared end with the process.
    """

    def __init__(
        self,
        store: AssetStore | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        cache_bytes: int | None = None,
        adapters: Mapping[str, Adapter] | None = None,
        families: Iterable[str] | None = None,
        frames: Frames = "single",
        isolation: Isolation | IsolatedDecoder = "auto",
        stage: Callable[[str], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        if not isinstance(isolation, IsolatedDecoder) and isolation not in get_args(Isolation):
            message = "expected isolation='auto', 'process', 'off' or a decoder, got another value"
            raise MMRawError("unsupported_option", message)
        self.store = store
        self.limits = limits
        self.frames: Frames = frames
        self._stage = stage
        self._adapters = dict(adapters or {})
        self._families = None if families is None else frozenset(families)
        size = cache_bytes_from_environment() if cache_bytes is None else cache_bytes
        self._cache: SingleFlightCache[MaterializedImage] = SingleFlightCache(size)
        self._stats = _no_counts()
        self.forget()
        forget_after_fork(self)
        self._owns_decoder = isolation == "process"
        if isolation == "process":
            isolation = IsolatedDecoder(limits=limits, frames=frames)
        self._isolation: Isolation | IsolatedDecoder = isolation

    def close(self) -> None:
        """Ends the threads for asyncio, and the workers that this object started."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        if self._owns_decoder and isinstance(self._isolation, IsolatedDecoder):
            self._isolation.close()

    def forget(self) -> None:
        """Starts without threads: those for asyncio belong to one process."""
        self._threads: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy has a cache and counters of its own.
        return {**self.__dict__, "_threads": None, "_stats": _no_counts()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        forget_after_fork(self)

    def __enter__(self) -> Materializer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def materialize(
        self,
        ref: RawMMRef | str,
        *,
        mm_hash: str | None = None,
        modality: str | None = None,
        placeholder_length: int | None = None,
    ) -> MaterializedImage:
        """The image that `ref` means, or an error; nothing in between.

        Args:
            ref: A ref, parsed or as text.
            mm_hash: The ref's hash in the features body, if there is one.
            modality: The modality under which the ref is listed there.
            placeholder_length: The length of its placeholder there.

        Raises:
            MMRawError: in this order: the codes of `parse_ref`, modality_unsupported,
                modality_mismatch, hash_mismatch (outer), run_mismatch, source_unavailable,
                hash_mismatch (bytes), object_corrupt, the codes of decoding, unknown_family,
                aspect_ratio, fingerprint_mismatch, grid_mismatch, placeholder_mismatch.
        """
        failed: MMRawError | None = None
        try:
            parsed, data = self._parsed(ref)
            compare_outer(parsed, mm_hash, modality)
            return self._cached(parsed, data, mm_hash, modality, placeholder_length)
        except MMRawError as error:
            failed = error
        self._stats.refused[failed.code] += 1
        raise failed

    async def materialize_async(
        self,
        ref: RawMMRef | str,
        *,
        mm_hash: str | None = None,
        modality: str | None = None,
        placeholder_length: int | None = None,
    ) -> MaterializedImage:
        """`materialize` in a thread of this object; the event loop is never blocked.

        A cancelled caller does not affect others that wait for the same image.
        """
        work = functools.partial(
            self.materialize,
            ref,
            mm_hash=mm_hash,
            modality=modality,
            placeholder_length=placeholder_length,
        )
        threads = self._threads
        if threads is None:
            threads = self._threads = ThreadPoolExecutor(thread_name_prefix="mmraw")
        return await _in_thread(threads, work)

    def materialize_many(
        self, refs: Iterable[RawMMRef | str | Slot], *, workers: int = 4
    ) -> Iterator[MaterializedImage | MMRawError]:
        """The images of many refs, in their order; a refused one gives its error.

        Slots of a features body (`Features.slots()`) are also compared with their hash and
        placeholder. At most twice `workers` images are held at a time, however many refs there are.
        Fewer than one worker raise unsupported_option.
        """
        if workers < 1:
            raise MMRawError("unsupported_option", "expected at least one worker, got less")
        return in_order(refs, self._one, workers, most=2 * workers)

    async def materialize_many_async(
        self, refs: Iterable[RawMMRef | str | Slot], *, workers: int = 4
    ) -> AsyncIterator[MaterializedImage | MMRawError]:
        """`materialize_many` for asyncio, as bounded; the event loop is never blocked."""
        if workers < 1:
            raise MMRawError("unsupported_option", "expected at least one worker, got less")
        pool = ThreadPoolExecutor(workers)
        waiting: deque[asyncio.Future[MaterializedImage | MMRawError]] = deque()
        try:
            for ref in refs:
                waiting.append(_in_thread(pool, functools.partial(self._one, ref)))
                if len(waiting) >= 2 * workers:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            # A consumer that stops early does not wait for what is under way.
            pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, ref: RawMMRef | str | Slot) -> MaterializedImage | MMRawError:
        try:
            if not isinstance(ref, Slot):
                return self.materialize(ref)
            beside: Any = {"mm_hash": ref.mm_hash, "placeholder_length": ref.placeholder.length}
            return self.materialize(ref.ref, modality=ref.modality, **beside)
        except MMRawError as error:
            return error

    def stats(self) -> Stats:
        """A copy of the counters."""
        counts = msgspec.structs.replace(self._stats, refused=dict(self._stats.refused))
        counts.hits, counts.misses = self._cache.hits, counts.misses + self._cache.misses
        counts.cached_images, counts.cached_bytes = self._cache.count, self._cache.size
        return counts

    def adapter_for(self, family: str) -> Adapter:
        """The adapter that refs of `family` are compared with.

        Raises:
            MMRawError: unknown_family.
        """
        if self._families is not None and family not in self._families:
            message = "expected one of the families that are allowed here, got another"
            raise MMRawError("unknown_family", message, "$.family")
        adapter = self._adapters.get(family)
        if adapter is None:
            adapter = self._adapters[family] = get_adapter(family)
        return adapter

    def read(self, ref: RawMMRef | str, *, modality: str) -> tuple[RawMMRef, bytes]:
        """The ref and its encoded bytes, not yet verified: the first half of `materialize`.

        Raises:
            MMRawError: as `materialize`, until the bytes are there.
        """
        parsed, data = self._parsed(ref)
        compare_outer(parsed, None, modality)
        return parsed, self._read(parsed) if data is None else data

    def decode(self, ref: RawMMRef, data: bytes) -> MaterializedImage:
        """The image that `ref` means, of the bytes that `read` gave: its second half.

        Raises:
            MMRawError: as `materialize`, from hash_mismatch (bytes) on.
        """
        return self._decode_and_compare(ref, data, None)

    def _parsed(self, ref: RawMMRef | str) -> tuple[RawMMRef, bytes | None]:
        """The ref, and the bytes of an inline image if its text was read here."""
        if not isinstance(ref, str):
            return ref, None
        pieces: list[bytes] = []
        parsed, is_read = read_ref(ref, pieces.append, limits=self.limits)
        return parsed, b"".join(pieces) if is_read else None

    def _cached(
        self,
        ref: RawMMRef,
        data: bytes | None,
        mm_hash: str | None,
        modality: str | None,
        length: int | None,
    ) -> MaterializedImage:
        if not self._cache.capacity:
            self._stats.misses += 1
            return self._make(ref, data, length)
        if self.store is not None and not ref.is_inline:
            self.store.check_run(ref.run_id)
        key = self.cache_key(ref, mm_hash=mm_hash, modality=modality, placeholder_length=length)
        return self._cache.get(
            key, lambda: self._make(ref, data, length), lambda item: item.held_bytes
        )

    def cache_key(
        self,
        ref: RawMMRef,
        *,
        mm_hash: str | None = None,
        modality: str | None = None,
        placeholder_length: int | None = None,
    ) -> str:
        """Everything that a check depends on, hashed; a hit must not skip one.

        For caches of what is made from the image, too. The decoded value counts, not its spelling.
        """
        fields: dict[str, Any] = {"dialect": ref.dialect, "ref": ref.fields()}
        fields |= {"mm_hash": mm_hash, "modality": modality, "length": placeholder_length}
        try:
            fields["adapter"] = self.adapter_for(ref.family).identity
        except MMRawError:
            # An unknown family is refused later, in the order of checks; it is never cached.
            fields["adapter"] = None
        return sha256_hex(canonical_json(fields).encode("ascii"))

    def _make(self, ref: RawMMRef, data: bytes | None, length: int | None) -> MaterializedImage:
        started = time.perf_counter()
        try:
            return self._decode_and_compare(ref, self._read(ref) if data is None else data, length)
        finally:
            seconds = time.perf_counter() - started
            self._stats.seconds += seconds

    def _decode_and_compare(
        self, ref: RawMMRef, data: bytes, length: int | None
    ) -> MaterializedImage:
        size = len(data)
        self._stats.bytes_read += size
        with self._stage("verify"):
            digest = verify_source(ref, data)
        with self._stage("decode"):
            decoded = self._decoded(data)
        adapter = self.adapter_for(ref.family)
        expected = compare_layout(ref, adapter, decoded.width, decoded.height, length, self.limits)
        return MaterializedImage(
            **msgspec.structs.asdict(decoded),
            ref=ref,
            sha256=digest,
            placeholder_length=expected,
            adapter=adapter,
        )

    def _decoded(self, data: bytes) -> DecodedImage:
        how = self._isolation
        if isinstance(how, IsolatedDecoder):
            return how.decode(data)
        return decode_rgb(data, limits=self.limits, frames=self.frames, isolation=how)

    def _read(self, ref: RawMMRef) -> bytes:
        """The encoded bytes, from the ref itself or from the store; read exactly once."""
        if ref.is_inline:
            return parse_data_uri(cast(str, ref.raw_uri), limits=self.limits).data
        if self.store is None:
            message = "the ref names a stored image and no store was configured"
            raise MMRawError("source_unavailable", message, "$.raw_image_id")
        self.store.check_run(ref.run_id)
        with self._stage("read"):
            return self.store.get(cast(str, ref.stored_name), run_id=ref.run_id)


def _no_counts() -> Stats:
    """Counters at zero; adding to one is a single step, so that no thread takes another's away."""
    return Stats(refused=Counter())


def _in_thread(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> asyncio.Future[Result]:
    """The result of `work`, from a thread.

    Raises:
        MMRawError: decoder_unavailable, if no thread starts.
    """
    # A caller has an event loop; commands without one start sooner.
    import asyncio

    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop().run_in_executor(pool, work)
    message = "the system cannot start a thread for decoding (ulimit -u)"
    raise MMRawError("decoder_unavailable", message)


def cache_bytes_from_environment() -> int:
    """The cache's size by PRIME_RL_MM_MATERIALIZE_CACHE_GB; 2 GiB if it is not set.

    Raises:
        MMRawError: unsupported_option (no number).
    """
    text = os.environ.get(CACHE_ENV, "").strip()
    if not text:
        return DEFAULT_CACHE_BYTES
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < 1e6:
        message = f"expected {CACHE_ENV}, a number of gigabytes from 0; got other text"
        raise MMRawError("unsupported_option", message)
    return int(gigabytes * 1024**3)
