"""Counters of a materializer, and their text for a metrics scraper."""

from __future__ import annotations

import msgspec

__all__ = ["Stats", "prometheus_text"]


class Stats(msgspec.Struct, kw_only=True):
    """Counts of what a materializer did so far.

    Attributes:
        hits, misses: Of the cache; without a cache every image is a miss.
        refused: Refusals by error code.
        bytes_read: Encoded bytes read and hashed.
        seconds: Time spent on misses, summed over threads.
        cached_images, cached_bytes: Decoded images held now, and their bytes.
    """

    hits: int = 0
    misses: int = 0
    refused: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    bytes_read: int = 0
    seconds: float = 0.0
    cached_images: int = 0
    cached_bytes: int = 0


_METRICS = (
    ("hits", "cache_hits_total", "counter", "Images answered from the cache."),
    ("misses", "cache_misses_total", "counter", "Images read and decoded."),
    ("bytes_read", "read_bytes_total", "counter", "Encoded bytes read and hashed."),
    ("seconds", "decode_seconds_total", "counter", "Time spent on misses, summed over threads."),
    ("cached_images", "cached_images", "gauge", "Decoded images held now."),
    ("cached_bytes", "cached_bytes", "gauge", "Bytes of decoded images held now."),
)


def prometheus_text(stats: Stats, prefix: str = "mmraw_materializer") -> str:
    """The counters in the text format that Prometheus scrapes (version 0.0.4).

    Serve it as `text/plain; version=0.0.4`.
    """
    lines: list[str] = []
    for attribute, name, kind, text in _METRICS:
        lines += [f"# HELP {prefix}_{name} {text}", f"# TYPE {prefix}_{name} {kind}"]
        lines.append(f"{prefix}_{name} {getattr(stats, attribute)!r}")
    name = f"{prefix}_refused_total"
    lines += [f"# HELP {name} Refs refused, by error code.", f"# TYPE {name} counter"]
    lines += [f'{name}{{code="{code}"}} {count}' for code, count in sorted(stats.refused.items())]
    return "\n".join(lines) + "\n"
