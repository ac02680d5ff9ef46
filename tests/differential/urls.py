"""Documents that name images by their URLs: changed somewhere, and with any text for a URL."""

from __future__ import annotations

import json
import random
from typing import Any

from . import mutate
from .seeds import Seeds


def content_parts_case(rng: random.Random, seeds: Seeds, ref: str) -> dict[str, Any]:
    """Content parts, as objects and as texts; `ref` may stand in one of them."""
    return _given(rng, "content_parts", _changed(rng, seeds.one(rng, "content parts"), ref))


def mm_refs_case(rng: random.Random, seeds: Seeds, ref: str) -> dict[str, Any]:
    """mm_refs in both forms, as objects and as texts; `ref` may stand in one of them."""
    value: Any = seeds.one(rng, "mm_refs")
    if rng.random() < 0.5:
        value = {"images": [{"url": u, "offset": o, "length": n} for u, o, n in value[0]]}
    return _given(rng, "mm_refs", _changed(rng, value, ref))


def _given(rng: random.Random, name: str, value: Any) -> dict[str, Any]:
    return {"text": mutate.spelling(rng, value)} if rng.random() < 0.5 else {name: value}


def _changed(rng: random.Random, value: Any, ref: str) -> Any:
    kind = rng.randrange(4)
    if kind < 2:
        return mutate.value(rng, value)
    urls = [text for text in _texts_in(value) if len(text) > 4]
    if kind == 2 or not urls:
        return value
    return json.loads(json.dumps(value).replace(json.dumps(rng.choice(urls)), json.dumps(ref)))


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (dict, list)):
        return []
    children = value.values() if isinstance(value, dict) else value
    return [text for child in children for text in _texts_in(child)]
