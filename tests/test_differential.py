"""The differential run: what it damages, and what it compares."""

import random
from collections import Counter

from differential import damage
from differential.pictures import built
from differential.seeds import small_images

from mmraw_protocol import MMRawError
from mmraw_protocol.images import read_header


def verdict(data: bytes) -> str:
    """The code that refuses an image, or `ok`."""
    try:
        read_header(data)
    except MMRawError as error:
        return error.code
    return "ok"


def damaged_images(number: int, count: int) -> list[tuple[str, bytes]]:
    """(format, bytes) of damaged images."""
    rng, pools = random.Random(number), (built(), small_images())
    drawn = [rng.choice(rng.choice(pools)) for _ in range(count)]
    kinds = [(damage.format_of(image) or "other", image) for image in drawn]
    return [(kind, damage.damaged(rng, image, rng.choice(drawn))) for kind, image in kinds]


def test_damaged_images_are_the_same_for_the_same_seed() -> None:
    assert damaged_images(1, 200) == damaged_images(1, 200)
    assert damaged_images(1, 200) != damaged_images(2, 200)


def test_damage_leaves_images_of_every_format_on_both_sides_of_the_rules() -> None:
    found = Counter((kind, verdict(image)) for kind, image in damaged_images(1, 4000))
    for kind in ("png", "jpeg", "gif", "webp"):
        assert found[kind, "ok"] > 100
        assert found[kind, "image_undecodable"] > 100


def test_built_images_have_a_header_and_their_parts_joined_are_the_file() -> None:
    for image in built():
        assert verdict(image) == "ok"
        kind = damage.FORMATS[damage.format_of(image) or ""]
        parts = kind.split(image)
        assert len(parts) > 1
        assert b"".join(parts) == image
