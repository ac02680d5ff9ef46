"""Documents of every kind, drawn from the strategies of mmraw_protocol.testing."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning

from mmraw_protocol import testing
from mmraw_protocol.conformance.vectors import vectors_folder
from mmraw_protocol.wire._generated.dialects import DIALECTS

from .pictures import built

#: Larger files would make most of the run a transport of base64.
MOST_IMAGE_BYTES = 6000


def draw(strategy: st.SearchStrategy[Any], count: int, number: int) -> list[Any]:
    """`count` values of a strategy, the same for the same `number`."""
    found: list[Any] = []

    @seed(number)
    @settings(
        database=None,
        deadline=None,
        max_examples=count,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        collect()
    return found


class Seeds:
    """Pools of documents; each is drawn when it is first asked for."""

    def __init__(self, number: int, size: int) -> None:
        self._number = number
        self._size = size
        self.pool: Callable[[str], list[Any]] = cache(self._pool)

    def one(self, rng: random.Random, name: str) -> Any:
        """A document of the pool `name`."""
        return rng.choice(self.pool(name))

    def _pool(self, name: str) -> list[Any]:
        kind, _, rest = name.partition(":")
        if kind == "images":
            return small_images()
        if kind == "built images":
            return built()
        strategies: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
            "fields": lambda: testing.ref_fields(rest),
            "item": lambda: testing.documents(rest),
            "features": lambda: testing.features(rest),
            "messages": testing.messages,
            "content parts": testing.content_parts,
            "mm_refs": testing.mm_refs,
            "payload": lambda: testing.payloads(rest),
            "layout": lambda: testing.documents(rest),
            "near miss": lambda: testing.near_misses(rest).map(lambda pair: pair[1]),
            "refused ref": lambda: testing.refused_refs(rest),
            "refused item": lambda: testing.refused_items(rest),
            "refused features": lambda: testing.refused_features(rest),
        }
        return draw(strategies[kind](), self._size, self._number)

    def fields(self, rng: random.Random, dialect: str) -> dict[str, Any]:
        """The fields of a ref."""
        return self.one(rng, f"fields:{dialect}")

    def ref(self, rng: random.Random) -> tuple[str, str]:
        """(dialect, canonical ref)."""
        dialect = rng.choice(list(DIALECTS))
        return dialect, testing.ref_text(self.fields(rng, dialect), dialect)


def small_images() -> list[bytes]:
    """The pictures of the vectors, good and bad, that are small enough."""
    folder = vectors_folder()
    paths = sorted([*folder.glob("images/*"), *folder.glob("bad_images/*")])
    data = [path.read_bytes() for path in paths]
    return [image for image in data if 0 < len(image) <= MOST_IMAGE_BYTES]
