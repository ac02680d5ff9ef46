"""Cost against size and count: does it stay a straight line?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmraw_protocol import (
    FeaturesBuilder,
    Limits,
    RefMemory,
    build_features,
    format_ref,
    parse_features,
    parse_ref,
)

from . import baseline, material
from .measure import interleaved

#: (series, [(size or count, seconds)])
Series = tuple[str, list[tuple[float, float]]]

_LIMITS = Limits(features_images=1_000_000)


def refs(rounds: int, largest: int) -> Iterator[Series]:
    """Refs from the smallest to `largest` bytes of image."""
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    size = 0
    while size <= largest:
        ref = material.inline_ref(material.noise(size)) if size else material.stored_ref(0)
        text = format_ref(ref)
        timing = interleaved(
            {
                "ours": lambda text=text: parse_ref(text),
                "theirs": lambda text=text: baseline.parse_v3(text),
            },
            rounds,
        )
        ours.append((len(text), timing.median("ours")))
        theirs.append((len(text), timing.median("theirs")))
        size = min(size * 8, largest) if 0 < size < largest else largest + 1 if size else 640
    yield "parse_ref", ours
    yield "standard library", theirs


def features(rounds: int, most: int) -> Iterator[Series]:
    """Bodies of 1 to `most` images."""
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    count = 1
    while count <= most:
        data = material.items(count)
        timing = interleaved(
            {
                "ours": lambda data=data: build_features(data, run_id=material.RUN, limits=_LIMITS),
                "theirs": lambda data=data: baseline.build_features(data, material.RUN),
            },
            rounds,
        )
        ours.append((count, timing.median("ours")))
        theirs.append((count, timing.median("theirs")))
        count *= 10
    yield "build_features", ours
    yield "standard library", theirs


def _turns(count: int) -> list[dict[str, Any]]:
    data = material.items(count)
    names = list(data)
    return [
        {name: {"image": [data[name]["image"][number]]} for name in names}
        for number in range(count)
    ]


def conversations(rounds: int, most: int) -> Iterator[Series]:
    """Conversations of one new image a turn: all bodies built, and all bodies read."""
    results: dict[str, list[tuple[float, float]]] = {}
    count = 1
    counts: list[int] = []
    while count < most:
        counts.append(count)
        count *= 4
    for count in (*counts, most):
        turns = _turns(count)
        whole = material.items(count)
        bodies = _bodies(turns)
        contestants = {
            "built turn by turn": lambda turns=turns: _bodies(turns),
            "built again each turn": lambda whole=whole, count=count: _again(whole, count),
            "read with memory": lambda bodies=bodies: _read(bodies, RefMemory()),
            "read again each turn": lambda bodies=bodies: _read(bodies, None),
        }
        timing = interleaved(contestants, rounds)
        for name in contestants:
            results.setdefault(name, []).append((count, timing.median(name)))
    yield from results.items()


def _bodies(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    builder = FeaturesBuilder(run_id=material.RUN)
    bodies: list[dict[str, Any]] = []
    for turn in turns:
        builder.add(turn)
        bodies.append(builder.body())
    return bodies


def _again(whole: dict[str, Any], count: int) -> None:
    for turn in range(1, count + 1):
        data = {name: {"image": rows["image"][:turn]} for name, rows in whole.items()}
        build_features(data, run_id=material.RUN)


def _read(bodies: list[dict[str, Any]], memory: RefMemory | None) -> None:
    for body in bodies:
        parse_features(body, memory=memory)
