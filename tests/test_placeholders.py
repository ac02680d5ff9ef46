"""Placeholders against their prompt: order, bounds, and the tokens of each span."""

from collections.abc import Sequence
from typing import Any

import pytest

from mmraw_protocol import MMRawError, PlaceholderRange
from mmraw_protocol.conversation.placeholders import (
    check_placeholder_tokens,
    check_placeholders,
    image_tokens,
    span_texts,
)
from mmraw_protocol.families import get_adapter
from mmraw_protocol.wire._generated.families import FAMILIES

PAD, BREAK, END = 7, 8, 9
#: Two rows of three tokens, as a family with row ends writes them.
ROWS = [PAD, PAD, PAD, BREAK, PAD, PAD, PAD, END]
PIXTRAL = get_adapter("pixtral")


def places(*rows: tuple[int, int]) -> list[PlaceholderRange]:
    """Placeholders from (offset, length)."""
    return [PlaceholderRange(offset=offset, length=length) for offset, length in rows]


def texts(*grids: tuple[int, int]) -> list[list[str] | None]:
    """The tokens of images with these grids of tokens."""
    return [span_texts("pixtral", {"image_grid_hw": [list(grid)]}) for grid in grids]


def code_of(
    tokens: Sequence[int] | None, rows: Sequence[PlaceholderRange], **options: Any
) -> tuple[str, str]:
    """The code that refuses, and its path."""
    with pytest.raises(MMRawError) as caught:
        check_placeholders(tokens, rows, **options)
    return caught.value.code, caught.value.path


def test_spans_of_one_token_hold_it_alone() -> None:
    prompt = [1, PAD, PAD, 2, PAD]
    check_placeholders(prompt, places((1, 2), (4, 1)))
    check_placeholders(prompt, places((1, 2), (4, 1)), pad_token_id=PAD)
    check_placeholders(None, places((1, 2), (400, 1)))
    second = "$.mm_placeholders.image[1]"
    assert code_of(prompt, places((1, 2), (3, 1))) == ("span_mismatch", second)
    assert code_of(prompt, places((1, 2), (2, 1))) == ("placeholder_invalid", second)
    assert code_of(prompt, places((1, 2), (4, 2))) == ("placeholder_invalid", second)
    assert code_of(prompt, places((1, 2)), pad_token_id=1)[0] == "span_mismatch"
    assert code_of(None, places((-1, 1))) == ("placeholder_invalid", "$.mm_placeholders.image[0]")


def test_a_span_with_row_ends_is_that_of_its_image() -> None:
    prompt = [1, *ROWS, PAD, END, 2]
    rows = places((1, 8), (9, 2))
    check_placeholders(prompt, rows, spans=texts((2, 3), (1, 1)))
    check_placeholders(prompt, rows, spans=texts((2, 3), (1, 1)), pad_token_id=PAD)
    # Without the texts the pad alone is expected, and as many tokens may have another shape.
    first = "$.mm_placeholders.image[0]"
    assert code_of(prompt, rows) == ("span_mismatch", first)
    for grid in ((3, 2), (2, 2), (1, 7)):
        assert code_of(prompt, rows, spans=texts(grid, (1, 1))) == ("span_mismatch", first)
    assert code_of(prompt, rows, spans=texts((2, 3), (1, 1)), pad_token_id=1)[0] == "span_mismatch"


@pytest.mark.parametrize(
    "span",
    [
        [PAD, PAD, PAD, PAD, PAD, PAD, PAD, END],
        [PAD, PAD, PAD, BREAK, PAD, PAD, PAD, BREAK],
        [PAD, PAD, PAD, END, PAD, PAD, PAD, END],
        [PAD, PAD, PAD, BREAK, PAD, PAD, 1, END],
        [PAD] * 8,
    ],
    ids=["no break", "no end", "two ends", "another token", "pads alone"],
)
def test_tokens_that_differ_in_text_differ_in_id(span: list[int]) -> None:
    check_placeholders(ROWS, places((0, 8)), spans=texts((2, 3)))
    assert code_of(span, places((0, 8)), spans=texts((2, 3)))[0] == "span_mismatch"


def test_row_ends_are_the_same_in_all_spans() -> None:
    prompt = [*ROWS, PAD, 5, PAD, END]
    assert code_of(prompt, places((0, 8), (8, 4)), spans=texts((2, 3), (2, 1))) == (
        "span_mismatch",
        "$.mm_placeholders.image[1]",
    )


def test_only_spans_with_row_ends_have_texts() -> None:
    grid = {"image_grid_hw": [[2, 3]]}
    assert span_texts("pixtral", grid, PIXTRAL) == PIXTRAL.span(PIXTRAL.parse_payload(grid))
    assert span_texts("pixtral", grid, get_adapter("qwen_vl")) is None
    assert span_texts("qwen_vl", {"image_grid_thw": [[1, 4, 4]]}) is None
    assert span_texts("unheard_of", {}) is None


def refused(prompt: Sequence[int], *rows: tuple[int, int], **options: Any) -> tuple[str, str]:
    """The code and path that `check_placeholder_tokens` rejects with; empty where it accepts."""
    try:
        check_placeholder_tokens(prompt, {"image": places(*rows)}, **options)
    except MMRawError as error:
        return error.code, error.path
    return "", ""


def test_every_placeholder_token_lies_in_a_placeholder() -> None:
    prompt = [1, PAD, PAD, 2, PAD]
    stray = ("span_mismatch", "$.token_ids[4]")
    assert refused(prompt, (1, 2), (4, 1)) == ("", "")
    assert refused(prompt, (1, 2)) == stray, "the token is learned from the placeholder"
    assert refused(prompt, (1, 2), pad_token_id=PAD) == stray
    assert refused(prompt, (1, 1)) == ("span_mismatch", "$.token_ids[2]"), "a lost second half"
    assert refused(prompt, pad_token_id=PAD) == ("span_mismatch", "$.token_ids[1]"), "no features"
    assert refused(prompt) == ("", ""), "nobody says which token it is"
    check_placeholder_tokens(None, {"image": places((1, 2))}, pad_token_id=PAD)


def test_placeholders_of_two_modalities_share_a_prompt() -> None:
    prompt = [PAD, 1, BREAK, 1]
    both = {"image": places((0, 1)), "vision_chunk": places((2, 1))}
    check_placeholder_tokens(prompt, both)
    with pytest.raises(MMRawError) as caught:
        check_placeholder_tokens([*prompt, BREAK], both)
    assert caught.value.path == "$.token_ids[4]"


@pytest.mark.parametrize(
    ("family", "line"), [(family, line) for family, info in FAMILIES.items() for line in info.lines]
)
def test_published_placeholder_tokens_are_known(family: str, line: str) -> None:
    """A prompt without images, of which nobody says what its placeholder token is."""
    published = FAMILIES[family].lines[line]
    pad = published.token_ids.get(published.placeholder.token)
    if pad is None:
        pytest.skip("no id is published")
    tokens = image_tokens(family)
    assert refused([1, pad], tokens=tokens) == ("span_mismatch", "$.token_ids[1]")
    assert refused([1, pad - 1], tokens=tokens) == ("", "")


def test_tokens_around_a_placeholder_are_those_of_its_family() -> None:
    info = FAMILIES["qwen_vl"].lines["qwen3_vl"]
    before, pad, after = (info.token_ids[info.placeholder[at]] for at in (1, 0, 2))
    tokens = image_tokens("qwen_vl", pad_token_id=pad)
    assert refused([before, pad, pad, after], (1, 2), tokens=tokens) == ("", "")
    where = ("span_mismatch", "$.mm_placeholders.image[0]")
    for prompt in ([1, pad, pad, after], [before, pad, pad, 1], [before, pad, pad]):
        assert refused(prompt, (1, 2), tokens=tokens) == where
    assert refused([pad, pad, after], (0, 2), tokens=tokens) == where


def test_tokens_around_are_looked_up_in_a_vocabulary() -> None:
    info = FAMILIES["qwen_vl"].lines["qwen3_vl"].placeholder
    vocabulary = {info.token: PAD, info.before: 3, info.after: 4}
    tokens = image_tokens("qwen_vl", vocabulary=vocabulary)
    assert refused([3, PAD, 4], (1, 1), tokens=tokens) == ("", "")
    assert refused([1, PAD, 4], (1, 1), tokens=tokens)[0] == "span_mismatch"
    assert refused([1, PAD], tokens=tokens) == ("span_mismatch", "$.token_ids[1]")
    unknown = image_tokens("qwen_vl", pad_token_id=PAD)
    assert refused([1, PAD, 1], (1, 1), tokens=unknown) == ("", ""), "of no published checkpoint"
    assert image_tokens("toy").pads == frozenset()
