"""Placeholders against their prompt: order, bounds, and the tokens of each span."""

from collections.abc import Sequence
from typing import Any

import pytest

from mmraw_protocol import MMRawError, PlaceholderRange
from mmraw_protocol.conversation.placeholders import check_spans, span_texts
from mmraw_protocol.families import get_adapter

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
        check_spans(tokens, rows, **options)
    return caught.value.code, caught.value.path


def test_spans_of_one_token_hold_it_alone() -> None:
    prompt = [1, PAD, PAD, 2, PAD]
    check_spans(prompt, places((1, 2), (4, 1)))
    check_spans(prompt, places((1, 2), (4, 1)), pad_token_id=PAD)
    check_spans(None, places((1, 2), (400, 1)))
    second = "$.mm_placeholders.image[1]"
    assert code_of(prompt, places((1, 2), (3, 1))) == ("span_mismatch", second)
    assert code_of(prompt, places((1, 2), (2, 1))) == ("placeholder_invalid", second)
    assert code_of(prompt, places((1, 2), (4, 2))) == ("placeholder_invalid", second)
    assert code_of(prompt, places((1, 2)), pad_token_id=1)[0] == "span_mismatch"


def test_a_span_with_row_ends_is_that_of_its_image() -> None:
    prompt = [1, *ROWS, PAD, END, 2]
    rows = places((1, 8), (9, 2))
    check_spans(prompt, rows, spans=texts((2, 3), (1, 1)))
    check_spans(prompt, rows, spans=texts((2, 3), (1, 1)), pad_token_id=PAD)
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
    check_spans(ROWS, places((0, 8)), spans=texts((2, 3)))
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
