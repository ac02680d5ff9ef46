"""Prompts with images, whole and broken, for every family; property tests draw the same."""

from __future__ import annotations

import random
from typing import Any, NamedTuple, cast

from mmraw_protocol import MMRawError, RawMMRef, expand_prompt, format_ref
from mmraw_protocol.families import get_adapter
from mmraw_protocol.families.built_in import BuiltInAdapter
from mmraw_protocol.wire._generated.families import FAMILIES

from . import mutate
from .seeds import Seeds

#: Ids of text; those of images are drawn above, or are the published ones.
TEXT = range(1, 10)
_FIRST_ID = 300_000


class Drawn(NamedTuple):
    """A compact prompt with what expands it."""

    adapter: BuiltInAdapter[Any, Any]
    config: Any
    vocabulary: dict[str, int] | None
    token_ids: list[int]
    refs: list[RawMMRef]


def texts_of(adapter: BuiltInAdapter[Any, Any]) -> list[str]:
    """The tokens that vLLM knows of an image of the adapter's line, the target first."""
    info = adapter.info
    in_line = dict(zip(info.placeholder, adapter.tokens, strict=True))
    vllm = (info.vllm.target, info.vllm.before, info.vllm.after)
    target, before, after = (in_line.get(text, text) for text in vllm)
    tokens = adapter.tokens
    texts = (target, before, tokens.token, tokens.row_end, tokens.end, after)
    return [text for text in dict.fromkeys(texts) if text]


def published(adapter: BuiltInAdapter[Any, Any]) -> dict[str, int]:
    """The published ids of the adapter's line."""
    return dict(adapter.info.lines[adapter.line].token_ids)


def ref_of(adapter: BuiltInAdapter[Any, Any], width: int, height: int) -> RawMMRef:
    """The ref of an image of this size."""
    return RawMMRef(
        family=adapter.family,
        fingerprint=adapter.fingerprint(),
        mm_hash="0" * 32,
        modality=adapter.feature_modality,
        payload=adapter.layout(width, height).payload,
        raw_image_id="a.png",
        run_id="drawn",
    )


def adapter_of(rng: random.Random, family: str = "") -> tuple[BuiltInAdapter[Any, Any], Any]:
    """An adapter of any family and line, and the configuration that it is of."""
    family = family or rng.choice(list(FAMILIES))
    config: Any = rng.choice([None, *FAMILIES[family].lines])
    if "image_seq_length" in FAMILIES[family].layout.__struct_fields__:
        # As published, an image has hundreds of tokens.
        config = {"image_seq_length": rng.randint(1, 5)}
    return cast("BuiltInAdapter[Any, Any]", get_adapter(family, config)), config


def drawn(rng: random.Random, family: str = "") -> Drawn:
    """Up to four images of any sizes, and text between them."""
    adapter, config = adapter_of(rng, family)
    texts = texts_of(adapter)
    vocabulary = published(adapter)
    given = None
    if not vocabulary.keys() >= {*texts} or rng.random() < 0.5:
        ids = rng.sample(range(_FIRST_ID, _FIRST_ID + 99), len(texts))
        given = vocabulary = dict(zip(texts, ids, strict=True))
    refs: list[RawMMRef] = []
    token_ids = rng.choices(TEXT, k=rng.randrange(4))
    while len(refs) < 4 and rng.random() < 0.7:
        try:
            refs.append(ref_of(adapter, rng.randint(1, 300), rng.randint(1, 300)))
        except MMRawError:
            # Too long for the family.
            continue
        token_ids += [vocabulary[texts[0]], *rng.choices(TEXT, k=rng.choice((0, 0, 1, 3)))]
    return Drawn(adapter, config, given, token_ids, refs)


def _input(rng: random.Random, made: Drawn) -> dict[str, Any]:
    given: dict[str, Any] = {"family": made.adapter.family, "token_ids": made.token_ids}
    if made.config is not None:
        given["config"] = made.config
    if made.vocabulary is not None:
        given["vocabulary"] = made.vocabulary
    if rng.random() < 0.03:
        forms = list(made.adapter.info.vllm.refused)
        given["form"] = rng.choice([*forms, "other"])
    return given


def expand_prompt_case(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Compact prompts."""
    made = drawn(rng)
    given = {**_input(rng, made), "refs": [format_ref(ref) for ref in made.refs]}
    return broken(rng, given) if rng.random() < 0.6 else given


def compact_prompt_case(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Expanded prompts, with and without refs and known ids."""
    made = drawn(rng)
    adapter, vocabulary = made.adapter, made.vocabulary
    whole = expand_prompt(made.token_ids, made.refs, adapter, vocabulary=vocabulary)
    given = _input(rng, made._replace(token_ids=whole.token_ids))
    places = [{"offset": p.offset, "length": p.length} for p in whole.placeholders]
    given["placeholders"] = places
    if rng.random() < 0.6:
        given["refs"] = [format_ref(ref) for ref in made.refs]
    if rng.random() < 0.3:
        given["vocabulary"] = {k: v for k, v in (vocabulary or {}).items() if rng.random() < 0.5}
    return broken(rng, given) if rng.random() < 0.6 else given


def broken(rng: random.Random, given: dict[str, Any]) -> dict[str, Any]:
    """An input with one or two things changed: its tokens, its rows, or anything."""
    given = {name: list(row) if isinstance(row, list) else row for name, row in given.items()}
    for _ in range(rng.choice((1, 1, 2))):
        names = [n for n in ("token_ids", "placeholders", "refs", "vocabulary") if given.get(n)]
        name = rng.choice([*names, "token_ids"])
        row = given.get(name)
        if rng.random() < 0.1:
            given[name] = mutate.value(rng, row)
        elif isinstance(row, list) and row:
            _change(rng, row)
        elif name == "vocabulary" and isinstance(row, dict):
            given[name] = {k: v for k, v in row.items() if rng.random() < 0.7}
    return given


def _change(rng: random.Random, row: list[Any]) -> None:
    at, other = rng.randrange(len(row)), rng.randrange(len(row))
    kind = rng.randrange(5)
    if kind == 0:
        del row[at]
    elif kind == 1:
        row.insert(at, row[other])
    elif kind == 2:
        row[at], row[other] = row[other], row[at]
    elif isinstance(row[at], dict):
        name = rng.choice(("offset", "length"))
        row[at] = {**row[at], name: row[at].get(name, 0) + rng.choice((-2, -1, 1, 2, 9))}
    elif isinstance(row[at], str):
        row[at] = mutate.text(rng, row[at])
    else:
        row[at] = rng.choice((row[other], 1, 10, 151655))
