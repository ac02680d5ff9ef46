"""Answers of processors and servers about an image agree with its layout, by names of data."""

from typing import Any

import pytest

from mmraw_protocol.families import get_adapter
from mmraw_protocol.families.readings import answers_of, differs, reading_of
from mmraw_protocol.wire._generated.families import FAMILIES


def answers(family: str, width: int, height: int) -> dict[str, Any]:
    """Returns what an image processor of the family answers for one image, pixels left out."""
    layout = get_adapter(family).layout(width, height)
    names = answers_of(family)
    return {name: [reading_of(r, layout)] for name, r in names.items() if r is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_answers_are_readings_of_its_layout(family: str) -> None:
    layout = get_adapter(family).layout(1000, 700)
    said = answers(family, 1000, 700)
    assert said
    assert not differs(said, answers_of(family), layout)
    assert not differs(said | {"something_else": "x"}, answers_of(family), layout)
    assert differs(answers(family, 300, 2000), answers_of(family), layout)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_answer_alone_is_compared(family: str) -> None:
    layout = get_adapter(family).layout(1000, 700)
    right, wrong = answers(family, 1000, 700), answers(family, 300, 2000)
    for name in right:
        if wrong[name] != right[name]:
            assert differs(right | {name: wrong[name]}, answers_of(family), layout), name
        assert differs(right | {name: "no number"}, answers_of(family), layout), name


def test_of_many_positions_the_last_counts() -> None:
    """As a processor pads them: (-1, -1) stands for no patch."""
    layout = get_adapter("gemma4").layout(640, 480)
    _, h, w = layout.grid_thw
    positions = [[x, y] for y in range(h) for x in range(w)] + [[-1, -1]] * 9
    names = {"positions": "last_patch_xy"}
    assert not differs({"positions": [positions]}, names, layout)
    assert differs({"positions": [positions[: -9 - w]]}, names, layout)


def test_a_grid_must_be_told_where_the_familys_processors_tell_one() -> None:
    said = {"num_soft_tokens_per_image": [get_adapter("gemma4").layout(640, 480).num_tokens]}
    assert differs(said, answers_of("gemma4"), get_adapter("gemma4").layout(640, 480))
    assert not differs({}, answers_of("inkling"), get_adapter("inkling").layout(640, 480))


def test_a_family_of_somebody_else_answers_as_most_do() -> None:
    assert answers_of("toy_tiles") == {"pixel_values": None, "image_grid_thw": "grid_thw"}
