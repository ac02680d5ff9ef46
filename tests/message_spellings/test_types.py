"""The table of spellings is that of the libraries that are installed, and their objects are read.

Run by `make test-spellings`, in an environment that has the libraries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import record

from mmraw_protocol import (
    MMRawError,
    get_adapter,
    inline_messages,
    offload_messages,
    pack_images,
)
from mmraw_protocol.conversation.messages import find_images
from mmraw_protocol.stores import LocalStore

QWEN = get_adapter("qwen_vl")


def test_the_committed_table_is_made_of_these_types() -> None:
    assert record.OUT.read_text(encoding="utf-8").splitlines() == record.lines()


def objects() -> Iterator[tuple[str, Any, Any]]:
    """(library, messages, the same with objects of the library's classes) with a picture each."""
    seen: set[str] = set()
    for sdk, where, kind in record.types():
        adapter: Any = pydantic.TypeAdapter(kind)
        for value in record.values(kind, "content"):
            key = json.dumps(value, sort_keys=True)
            if key in seen or not record.holds_image(value):
                continue
            seen.add(key)
            try:
                made = adapter.validate_json(key)
            except pydantic.ValidationError:
                continue
            if not isinstance(made, pydantic.BaseModel):
                continue
            if where == "message":
                yield sdk, [value], [made]
            else:
                yield sdk, [{"role": "user", where: [value]}], [{"role": "user", where: [made]}]


TYPED = list(objects())


def verdict(messages: Any) -> tuple[str | None, list[bytes]]:
    """The code of what is rejected, or the bytes of the images."""
    try:
        return None, [image.data for image in pack_images(messages, QWEN, storage="inline")]
    except MMRawError as error:
        return error.code, []


def test_libraries_with_classes_are_covered() -> None:
    assert {sdk for sdk, _, _ in TYPED} >= {"google-genai", "mcp"}
    assert len(TYPED) >= 20


@pytest.mark.parametrize(
    ("messages", "typed"),
    [row[1:] for row in TYPED],
    ids=[f"{row[0]}-{index}" for index, row in enumerate(TYPED)],
)
def test_objects_are_read_and_rewritten_as_their_json(
    messages: Any, typed: Any, tmp_path: Path
) -> None:
    code, images = verdict(messages)
    assert verdict(typed) == (code, images)
    if code is not None:
        return
    assert images, "an image is read or rejected"
    store = LocalStore(tmp_path / "run_x" / "assets" / "images")
    stored = offload_messages(typed, store)
    assert type(stored[0]) is type(typed[0])
    assert len(find_images(stored)) == len(images)
    assert verdict(inline_messages(stored, store=store)) == (None, images)
