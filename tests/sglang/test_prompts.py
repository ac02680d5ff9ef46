"""Token ids with refs: compact, as SGLang expands them, or expanded already."""

# pyright: reportMissingImports=false

from typing import Any

import pytest
from engine import BY_IDS, TEXT_ALONE, Engine, data_url
from pictures import encode, picture
from test_processors import same
from test_refusals import refusal

from mmraw_protocol import expand_prompt
from mmraw_protocol.integrations.sglang import processor
from mmraw_protocol.stores import LocalStore

ONE = encode(picture(300, 200), "PNG")
TWO = encode(picture(64, 200), "JPEG")


@pytest.mark.parametrize("family", BY_IDS)
def test_text_compact_ids_and_expanded_ids_are_one_prompt(engines: Any, family: str) -> None:
    engine: Engine = engines(family)
    refs = [engine.ref(ONE), engine.ref(TWO)]
    compact = engine.encode(engine.prompt(2))
    # Of text, SGLang also writes what stands around Gemma's images.
    expected = engine.processed(*refs, prompt=compact if family == "gemma4" else None)
    for prompt in (compact, list(expected.input_ids)):
        found = engine.processed(*refs, prompt=prompt)
        assert list(found.input_ids) == list(expected.input_ids)
        offsets = [[i.offsets for i in one.mm_inputs.mm_items] for one in (found, expected)]
        assert offsets[0] == offsets[1]


@pytest.mark.parametrize("family", BY_IDS)
def test_expand_prompt_foretells_sglang(engines: Any, family: str) -> None:
    engine: Engine = engines(family)
    refs = [engine.ref(ONE), engine.ref(TWO)]
    compact = engine.encode(engine.prompt(2))
    vocabulary = engine.manager.tokenizer.get_vocab()
    found = expand_prompt(compact, refs, engine.adapter, vocabulary=vocabulary, engine="sglang")
    processed = engine.processed(*refs, prompt=compact)
    assert found.token_ids == list(processed.input_ids)
    spans = [(p.offset, p.offset + p.length - 1) for p in found.placeholders]
    items = processed.mm_inputs.mm_items
    # Pixtral's spans also hold the ends of rows, and the last one.
    ends = family == "mistral3"
    assert spans == [(item.offsets[0][0], item.offsets[-1][1] + ends) for item in items]


def test_token_ids_without_a_tokenizer(qwen: Engine, store: LocalStore) -> None:
    """As trainers start SGLang: it takes and gives ids alone."""
    bare = Engine("qwen3_vl", qwen.folder, store, options={"skip_tokenizer_init": True})
    compact = qwen.encode(qwen.prompt(2))
    expected = qwen.processed(data_url(ONE), data_url(TWO), prompt=compact)
    for prompt in (compact, list(expected.input_ids)):
        assert same(bare.processed(bare.ref(ONE), bare.ref(TWO), prompt=prompt), expected)


def test_sglang_alone_takes_no_expanded_ids_of_qwen(qwen: Engine) -> None:
    expanded = list(qwen.processed(data_url(ONE)).input_ids)
    with pytest.raises(IndexError):
        qwen.processed(data_url(ONE), prompt=expanded)


@pytest.mark.parametrize("family", BY_IDS)
@pytest.mark.parametrize("change", [-1, 1])
def test_another_count_of_tokens_than_the_ref_gives(engines: Any, family: str, change: int) -> None:
    engine: Engine = engines(family)
    refs = [engine.ref(ONE), engine.ref(TWO)]
    processed = engine.processed(*refs)
    end = processed.mm_inputs.mm_items[1].offsets[0][1]
    ids = list(processed.input_ids)
    ids[end : end + 1] = [ids[end]] * (1 + change)
    message = refusal(engine, *refs, prompt=ids)
    assert message.startswith("placeholder_mismatch")
    assert message.endswith("(image 1)")


def test_expanded_ids_with_fewer_places_than_images(qwen: Engine) -> None:
    ids = list(qwen.processed(qwen.ref(ONE)).input_ids)
    message = refusal(qwen, qwen.ref(ONE), qwen.ref(TWO), prompt=ids)
    assert message.startswith("lengths_differ")


def test_expanded_ids_with_other_images_beside_refs(qwen: Engine) -> None:
    images = [qwen.ref(ONE), data_url(TWO)]
    ids = list(qwen.processed(*images).input_ids)
    assert refusal(qwen, *images, prompt=ids).startswith("unsupported_option")
    compact = qwen.encode(qwen.prompt(2))
    assert list(qwen.processed(*images, prompt=compact).input_ids) == ids


def test_expanded_ids_without_the_tokens_around_an_image(qwen: Engine) -> None:
    """Neighbours of a span that SGLang would write otherwise."""
    ids = list(qwen.processed(qwen.ref(ONE)).input_ids)
    start = ids.index(qwen.encode("<|vision_start|>")[0])
    message_or_ids = qwen.processed(qwen.ref(ONE), prompt=ids[:start] + ids[start + 1 :])
    assert len(message_or_ids.input_ids) == len(ids) - 1


@pytest.mark.parametrize("family", TEXT_ALONE)
def test_models_that_take_text_alone(engines: Any, family: str) -> None:
    engine: Engine = engines(family)
    ids = engine.encode(engine.prompt(1))
    assert refusal(engine, engine.ref(ONE), prompt=ids).startswith("unsupported_option")
    assert engine.processed(engine.ref(ONE)).mm_inputs.mm_items


@pytest.mark.parametrize("family", BY_IDS)
def test_sglang_makes_the_ids_that_were_sent(
    engines: Any, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other ids around a span than those that SGLang writes, its length being right."""
    engine: Engine = engines(family)
    compact = engine.encode(engine.prompt(1))
    expanded = list(engine.processed(engine.ref(ONE), prompt=compact).input_ids)
    monkeypatch.setattr(processor, "compact_ids", lambda *_, **__: [*compact, compact[0]])
    message = refusal(engine, engine.ref(ONE), prompt=expanded)
    assert message == "span_mismatch: expected SGLang's token ids, got others"
