"""`check` reads every conversation of a file: also its refs' uuids, and in lines of any length."""

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from samples import PNG, ref

from mmraw_protocol import parse_ref
from mmraw_protocol.files import check
from mmraw_protocol.files.validation import check_value

URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
IMAGE = {"type": "image", "image": URL}
ODD = {"type": "image_pil", "image_pil": URL}
REF = ref()
HASH = parse_ref(REF).mm_hash


def user(*parts: Any) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": list(parts)}]


def checked(*rows: Any, indent: int | None = None) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Counts by kind, and code and path of each refusal of a conversation, of lines of JSON."""
    text = "".join(json.dumps(row, indent=indent) + "\n" for row in rows)
    found = check(BytesIO(text.encode()).read)
    refused = [(one.code, one.path) for one in found.refusals if one.kind == "messages"]
    return found.counts, refused


@pytest.mark.parametrize("uuid", [None, HASH])
def test_a_uuid_that_is_the_hash_of_its_ref_is_right(uuid: str | None) -> None:
    part = {"type": "image_url", "image_url": {"url": REF}, "uuid": uuid}
    assert checked(user(part)) == ({"messages": 1, "ref": 1}, [])


def test_a_uuid_that_contradicts_its_ref_is_refused() -> None:
    part = {"type": "image_url", "image_url": {"url": REF}, "uuid": "0" * 32}
    _, refused = checked({"messages": user(part)})
    assert refused == [("hash_mismatch", "$.messages[0].content[0].uuid")]


LONG = "x" * 3_000


def rows() -> list[tuple[Any, list[tuple[str, str]]]]:
    """Documents with conversations, and what of them is refused."""
    column = {"images": [URL], "pad": LONG, "messages": user({"type": "image"})}
    return [
        (user(IMAGE, {"type": "text", "text": LONG}), []),
        (user({"type": "text", "text": LONG}, ODD), [("image_part_unknown", "$[0].content[1]")]),
        (column, []),
        ({**column, "images": [URL, URL]}, [("lengths_differ", "$.images")]),
        (
            {"prompt": [1, 2], "pad": LONG, "completion": user(ODD)},
            [("image_part_unknown", "$.completion[0].content[0]")],
        ),
        ({"id": LONG, "rows": {"log": user(ODD)}}, [("image_part_unknown", "$[0].content[0]")]),
        ({"prompt": [1, 2, 3], "messages": [{"id": 1}], "pad": LONG}, []),
        ({"prompt": [1, 2, 3], "pad": LONG}, []),
    ]


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes lines of over 2,000 bytes long ones, which are read as a stream."""
    for name, size in (
        ("reader.LONGEST_LINE", 2_000),
        ("checking.LONGEST_LINE", 2_000),
        ("checking.OWN_BLOCK", 512),
    ):
        monkeypatch.setattr(f"mmraw_protocol.files.{name}", size)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(("row", "refused"), rows())
@pytest.mark.usefixtures("short_limit")
def test_conversations_are_checked_in_lines_of_any_length(
    row: Any, refused: list[tuple[str, str]], indent: int | None
) -> None:
    counts, found = checked(row, indent=indent)
    assert found == refused
    whole = [one.kind for one in check_value(row)]
    assert counts.get("messages", 0) == whole.count("messages")


@pytest.mark.usefixtures("short_limit")
def test_other_lines_are_read_behind_a_long_one() -> None:
    counts, refused = checked(*(row for row, _ in rows()))
    assert counts["messages"] == 6
    assert refused == [one for _, found in rows() for one in found]
