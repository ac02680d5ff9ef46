"""The differential run: what it damages, and what it compares."""

import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from differential import compare, damage
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


#: An implementation that is right but for the path of its errors.
ELSEWHERE = """
import sys, json
from mmraw_protocol.conformance import answer
for line in sys.stdin:
    reply = answer(json.loads(line))
    if reply is None:
        break
    if "error" in reply:
        reply["error"]["path"] += ".x"
    print(json.dumps(reply), flush=True)
"""


def test_paths_of_errors_are_compared(tmp_path: Path) -> None:
    program = tmp_path / "elsewhere.py"
    program.write_text(ELSEWHERE)
    command = (sys.executable, str(program))
    rows: list[Any] = [("check_raw_image_id", {"raw_image_id": name}) for name in ("a..", "a.png")]
    (found,) = compare.differences(command, rows)
    assert found.reason == "wrong_path"
    assert "at $.raw_image_id.x, expected at $.raw_image_id" in found.detail
    assert compare.minimise(command, found).input == {}


def test_the_bytes_of_an_inline_image_are_cut_down(tmp_path: Path) -> None:
    program = tmp_path / "elsewhere.py"
    program.write_text(ELSEWHERE)
    image = "data:image/gif;base64,R0lGODlhAAAAAAAAAAA="
    case: Any = ("describe", {"family": "qwen_vl", "data_uri": image})
    command = (sys.executable, str(program))
    (found,) = compare.differences(command, [case])
    small = compare.minimise(command, found)
    assert len(json.dumps(small.input)) < len(json.dumps(found.input))
