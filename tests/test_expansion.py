"""Prompts with one target for each image, and with the spans that vLLM makes of them."""

import random
from typing import Any

import pytest
from differential.prompts import Drawn, drawn, published, ref_of, texts_of
from hypothesis import assume, given
from hypothesis import strategies as st
from refusals import refused

from mmraw_protocol import (
    Limits,
    PlaceholderRange,
    compact_prompt,
    expand_prompt,
    format_ref,
    get_adapter,
)
from mmraw_protocol.conversation.expanded_ids import compact_ids
from mmraw_protocol.conversation.expansion import ImagePrompt
from mmraw_protocol.conversation.placeholders import check_placeholders, span_texts
from mmraw_protocol.families.built_in import BuiltInAdapter
from mmraw_protocol.wire._generated.families import FAMILIES

every_family = pytest.mark.parametrize("family", FAMILIES)
rngs = st.randoms(use_true_random=False)
#: A token of none of the drawn vocabularies.
STRANGE = 999_999


def expanded(made: Drawn) -> ImagePrompt:
    """The prompt as vLLM expands it."""
    return expand_prompt(made.token_ids, made.refs, made.adapter, vocabulary=made.vocabulary)


def ids_of(made: Drawn) -> dict[str, int]:
    """The ids that a drawn prompt uses."""
    return made.vocabulary or published(made.adapter)


def one_image(rng: random.Random, family: str) -> Drawn:
    """A drawn prompt with at least one image."""
    made = drawn(rng, family)
    assume(made.refs)
    return made


@every_family
@given(rng=rngs)
def test_each_direction_undoes_the_other(family: str, rng: random.Random) -> None:
    made = drawn(rng, family)
    target = ids_of(made)[texts_of(made.adapter)[0]]
    whole = expanded(made)
    options: Any = {"vocabulary": made.vocabulary}
    for refs in (None, made.refs):
        back = compact_prompt(
            whole.token_ids, whole.placeholders, made.adapter, refs=refs, **options
        )
        assert back.token_ids == made.token_ids
        assert [made.token_ids[place.offset] for place in back.placeholders] == [
            target for _ in made.refs
        ]
        assert expand_prompt(back.token_ids, made.refs, made.adapter, **options) == whole


@every_family
@given(rng=rngs)
def test_the_spans_are_those_of_the_wire(family: str, rng: random.Random) -> None:
    made = drawn(rng, family)
    whole = expanded(made)
    lengths = [len(made.adapter.expanded_span(ref.payload)) for ref in made.refs]
    assert [place.length for place in whole.placeholders] == lengths
    pad = ids_of(made)[made.adapter.pad_token] if made.refs else None
    spans = [span_texts(family, ref.payload, made.adapter) for ref in made.refs]
    check_placeholders(whole.token_ids, whole.placeholders, pad_token_id=pad, spans=spans)
    assert pad is None or whole.token_ids.count(pad) == sum(
        made.adapter.num_tokens(ref.payload) for ref in made.refs
    )


@every_family
@given(rng=rngs)
def test_ids_that_are_not_known_are_learned(family: str, rng: random.Random) -> None:
    made = one_image(rng, family)
    whole = expanded(made)
    for refs in (None, made.refs):
        back = compact_prompt(
            whole.token_ids, whole.placeholders, made.adapter, refs=refs, vocabulary={}
        )
        assert back.token_ids == made.token_ids


@every_family
@given(rng=rngs)
def test_one_target_or_ref_too_many_or_too_few_is_refused(family: str, rng: random.Random) -> None:
    made = one_image(rng, family)
    target = ids_of(made)[texts_of(made.adapter)[0]]
    position = rng.randrange(len(made.token_ids) + 1)
    more = [*made.token_ids[:position], target, *made.token_ids[position:]]
    fewer = list(made.token_ids)
    fewer.remove(target)
    for token_ids in (more, fewer):
        assert refused(expanded, made._replace(token_ids=token_ids)).code == "lengths_differ"


@every_family
@given(rng=rngs)
def test_one_token_of_images_outside_of_the_spans_is_refused(
    family: str, rng: random.Random
) -> None:
    made = one_image(rng, family)
    ids = ids_of(made)
    whole = expanded(made)
    beside = [ids[made.adapter.pad_token], ids[texts_of(made.adapter)[0]]]
    stray = rng.choice(beside)
    token_ids = [*whole.token_ids, stray]
    error = refused(
        compact_prompt, token_ids, whole.placeholders, made.adapter, vocabulary=made.vocabulary
    )
    assert (error.code, error.path) == ("span_mismatch", f"$.token_ids[{len(whole.token_ids)}]")


@every_family
@given(rng=rngs)
def test_one_other_token_in_or_beside_a_span_is_refused(family: str, rng: random.Random) -> None:
    made = one_image(rng, family)
    whole = expanded(made)
    info = made.adapter.info.vllm
    index = rng.randrange(len(made.refs))
    place = whole.placeholders[index]
    first = place.offset - bool(info.before)
    last = place.offset + place.length + bool(info.after)
    token_ids = list(whole.token_ids)
    token_ids[rng.randrange(first, last)] = STRANGE
    for refs in (None, made.refs):
        error = refused(
            compact_prompt,
            token_ids,
            whole.placeholders,
            made.adapter,
            refs=refs,
            vocabulary=made.vocabulary,
        )
        assert (error.code, error.path) == ("span_mismatch", f"$.placeholders[{index}]")


@every_family
@given(rng=rngs, by=st.sampled_from([-1, 1]))
def test_a_span_of_another_length_is_refused(family: str, rng: random.Random, by: int) -> None:
    made = one_image(rng, family)
    whole = expanded(made)
    index = rng.randrange(len(made.refs))
    place = whole.placeholders[index]
    assume(place.length > 2)
    stop = place.offset + place.length
    pad = ids_of(made)[made.adapter.pad_token]
    token_ids = [
        *whole.token_ids[: place.offset],
        *([pad] if by > 0 else []),
        *whole.token_ids[place.offset + (by < 0) :],
    ]
    places = [
        PlaceholderRange(offset=p.offset + by * (p.offset >= stop), length=p.length)
        for p in whole.placeholders
    ]
    places[index] = PlaceholderRange(offset=place.offset, length=place.length + by)
    error = refused(
        compact_prompt,
        token_ids,
        places,
        made.adapter,
        refs=made.refs,
        vocabulary=made.vocabulary,
    )
    assert (error.code, error.path) == ("placeholder_mismatch", f"$.placeholders[{index}]")


def test_the_family_is_that_of_the_refs() -> None:
    adapter: Any = get_adapter("qwen_vl")
    ref = ref_of(adapter, 32, 32)
    pad = published(adapter)[adapter.pad_token]
    whole = expand_prompt([1, pad, 2], [ref])
    assert whole == expand_prompt([1, pad, 2], [format_ref(ref)], adapter)
    assert compact_prompt(*whole, refs=[ref]).token_ids == [1, pad, 2]
    assert refused(expand_prompt, [1, pad, 2], []).code == "unsupported_option"
    assert refused(compact_prompt, *whole).code == "unsupported_option"


def test_spans_may_be_those_of_an_answer() -> None:
    adapter: Any = get_adapter("qwen_vl")
    ids, spans = expand_prompt(
        [1, published(adapter)[adapter.pad_token]], [ref_of(adapter, 64, 64)]
    )
    rows = [{"offset": span.offset, "length": span.length} for span in spans]
    assert compact_prompt(ids, rows, adapter) == compact_prompt(ids, spans, adapter)
    for bad in ({"offset": 1}, {**rows[0], "length": True}, (1, 4), None):
        error = refused(compact_prompt, ids, [bad], adapter)
        assert error.path.startswith("$.placeholders[0]")
        assert error.code in ("missing_field", "invalid_type", "placeholder_invalid")
    assert refused(expand_prompt, ids, [None], adapter).path == "$.refs[0]"


def test_a_whole_vocabulary_may_be_given() -> None:
    adapter: Any = get_adapter("nemotron_h_omni")
    vocabulary = {f"word {number}": number for number in range(1000)}
    vocabulary |= {"<image>": 1000, "<img>": 1001, "</img>": 1002}
    whole = expand_prompt([1, 1000], [ref_of(adapter, 32, 32)], vocabulary=vocabulary)
    assert whole.token_ids[:3] == [1, 1001, 1000]
    assert whole.token_ids[-2:] == [1000, 1002]
    error = refused(expand_prompt, [1, 1000], [ref_of(adapter, 32, 32)])
    assert (error.code, error.path) == ("missing_field", "$.vocabulary")
    assert "<image>, <img>, </img>" in error.message
    assert "in vocabulary" in error.message


@pytest.mark.parametrize(
    ("family", "form"), [(n, form) for n, info in FAMILIES.items() for form in info.vllm.refused]
)
def test_a_form_that_cannot_be_says_why(family: str, form: str) -> None:
    adapter: Any = get_adapter(family)
    for work in (expand_prompt, compact_prompt):
        error = refused(work, [], [], adapter, form=form)
        assert (error.code, error.path) == ("unsupported_option", "$.form")
        assert error.message.endswith(adapter.info.vllm.refused[form])
        assert refused(work, [], [], adapter, form="other").code == "unsupported_option"


def test_a_family_without_a_folder_says_nothing_of_prompts() -> None:
    class Other:
        """An adapter of a third party."""

        family = "other"

    adapter: Any = Other()
    assert not isinstance(adapter, BuiltInAdapter)
    assert refused(expand_prompt, [1], [], adapter).code == "unknown_family"


def test_images_are_counted() -> None:
    limits = Limits(features_images=1)
    ref = ref_of(get_adapter("qwen_vl"), 32, 32)  # pyright: ignore[reportArgumentType]
    error = refused(expand_prompt, [], [ref, ref], limits=limits)
    assert (error.code, error.path) == ("limit_exceeded", "$.refs")


@pytest.mark.parametrize("family", [name for name, info in FAMILIES.items() if info.vllm.after])
def test_a_prompt_that_ends_before_the_token_after_a_span_is_refused(family: str) -> None:
    made = one_image_of(family)
    whole = expanded(made)
    place = whole.placeholders[-1]
    error = refused(
        compact_prompt,
        whole.token_ids[: place.offset + place.length],
        whole.placeholders,
        made.adapter,
        vocabulary=made.vocabulary,
    )
    assert error.code == "span_mismatch"
    assert error.path == f"$.placeholders[{len(made.refs) - 1}]"


def one_image_of(family: str) -> Drawn:
    """A prompt with images, always the same."""
    draws = (drawn(random.Random(seed), family) for seed in range(100))
    return next(made for made in draws if made.refs)


@pytest.mark.parametrize("family", FAMILIES)
def test_token_ids_may_come_expanded_or_not(family: str) -> None:
    made = one_image_of(family)
    adapter, ids = made.adapter, {**published(made.adapter), **(made.vocabulary or {})}
    refs = dict(enumerate(made.refs))
    lone = [ids[adapter.pad_token], 5]
    if adapter.info.vllm.target == adapter.pad_token:
        assert compact_ids(lone, {}, 1, adapter, vocabulary=ids, engine="vllm") is lone
    error = refused(compact_ids, [1, 2], refs, 1, adapter, vocabulary=ids, engine="vllm")
    assert error.code == "lengths_differ"


@pytest.mark.parametrize("family", [n for n, info in FAMILIES.items() if info.placeholder.end])
def test_images_may_stand_side_by_side_where_a_token_ends_each(family: str) -> None:
    made = one_image_of(family)
    adapter, ids = made.adapter, {**published(made.adapter), **(made.vocabulary or {})}
    target, ref = ids[adapter.info.vllm.target], made.refs[0]
    whole = expand_prompt([target, target], [ref, ref], adapter, vocabulary=ids)
    refs = {0: ref, 1: ref}
    compacted = compact_ids(whole.token_ids, refs, 2, adapter, vocabulary=ids, engine="vllm")
    assert list(compacted) == [target, target]
