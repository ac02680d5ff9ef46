"""Counters beside vLLM's own, on its /metrics."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What the plugin does, as Prometheus metrics whose names start with mmraw_.

    Args:
        registry: Where they are registered; None for the process's own, which vLLM exports too.
    """

    def __init__(self, registry: Any = None) -> None:
        # vLLM has it.
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
        self._cached = client.Gauge(
            "mmraw_cache_bytes",
            "Bytes of images kept",
            multiprocess_mode="livesum",
            **options,
        )

    def image(self, family: str, *, inline: bool, hit: bool, cached: int) -> None:
        """An image is ready; `cached` bytes are kept now."""
        source = "inline" if inline else "stored"
        self._images.labels(family, source, "hit" if hit else "miss").inc()
        self._cached.set(cached)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refused.labels(code).inc()

    @contextmanager
    def timed(self) -> Generator[None]:
        """Measures one image; refused ones count too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds.observe(time.perf_counter() - started)


@cache
def default_metrics() -> Metrics:
    """The metrics of this process; a name can be registered only once."""
    return Metrics()
