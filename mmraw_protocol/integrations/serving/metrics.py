"""Counters beside the server's own, on its /metrics."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from typing import Any

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Prometheus metrics of the plugin, whose names start with mmraw_.

    Args:
        registry: Where they are registered; None for the process's own, which servers export.
    """

    def __init__(self, registry: Any = None) -> None:
        # Servers have it.
        client: Any = import_module("prometheus_client")
        options: dict[str, Any] = {"registry": client.REGISTRY if registry is None else registry}
        self._images = client.Counter(
            "mmraw_images", "Images handed to the engine", ["family", "source", "cache"], **options
        )
        self._refused = client.Counter(
            "mmraw_refused_requests", "Requests refused, by error code", ["code"], **options
        )
        self._seconds = client.Histogram(
            "mmraw_image_seconds",
            "Seconds to read, check and decode one image that was not cached",
            buckets=_BUCKETS,
            **options,
        )
        self._stages = client.Histogram(
            "mmraw_stage_seconds",
            "Seconds to read an image from the store, to verify its bytes, to decode it",
            ["stage"],
            buckets=_BUCKETS,
            **options,
        )
        self._read = client.Counter(
            "mmraw_store_bytes", "Bytes of images read from the store", **options
        )
        self._left = client.Counter(
            "mmraw_disconnects", "Clients that left before they had their whole answer", **options
        )
        self._cached = client.Gauge(
            "mmraw_cache_bytes",
            "Bytes of images kept",
            multiprocess_mode="livesum",
            **options,
        )

        self._flight = client.Gauge(
            "mmraw_in_flight",
            "Images that are read or decoded, images that wait for it, bytes that all of them hold",
            ["what"],
            multiprocess_mode="livesum",
            **options,
        )

    def in_flight(self, **amounts: int) -> None:
        """The work in progress."""
        for what, amount in amounts.items():
            self._flight.labels(what).set(amount)

    def image(self, family: str, *, inline: bool, hit: bool, cached: int) -> None:
        """An image is ready; `cached` bytes are kept now."""
        source = "inline" if inline else "stored"
        self._images.labels(family, source, "hit" if hit else "miss").inc()
        self._cached.set(cached)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refused.labels(code).inc()

    def disconnected(self) -> None:
        """A client left."""
        self._left.inc()

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measures `read`, `verify` or `decode` of an image; what is refused counts too."""
        return self._stages.labels(name).time()

    def read(self, size: int) -> None:
        """So many bytes came from the store."""
        self._read.inc(size)

    def timed(self) -> AbstractContextManager[None]:
        """Measures one image; refused ones count too."""
        return self._seconds.time()


@cache
def default_metrics() -> Metrics:
    """The metrics of this process; a name can be registered only once."""
    return Metrics()
