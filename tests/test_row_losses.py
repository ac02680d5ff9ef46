"""No image of a row vanishes, whatever its column is named and whatever holds it."""

import base64
from collections import Counter, UserDict, deque
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from types import MappingProxyType, SimpleNamespace
from typing import Any

import msgspec
import pytest
from samples import PNG

from mmraw_protocol import MMRawError
from mmraw_protocol.conversation.messages import find_images

URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
TEXT: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
MESSAGE = {"role": "user", "content": [{"type": "image", "image": URL}]}
REJECTED = ("image_part_unknown", "$")


def refusal(row: Any) -> tuple[str, str] | None:
    """Code and path of what `find_images` rejects; None where it does not."""
    try:
        find_images(row)
    except MMRawError as error:
        return error.code, error.path
    return None


class Once:
    """An iterable without a length."""

    def __init__(self, one: Any) -> None:
        self._one = one

    def __iter__(self) -> Iterator[Any]:
        return iter([self._one])


class Numbered:
    """An object that has items by number alone."""

    def __init__(self, one: Any) -> None:
        self._one = one

    def __getitem__(self, index: int) -> Any:
        return [self._one][index]


class Cell(msgspec.Struct):
    """A typed cell of a data set."""

    held: Any


class Client:
    """An object of a program: its attributes lead anywhere."""

    def __init__(self) -> None:
        self.logo = PNG


class Numbers:
    """An array of another library."""

    itemsize = 4

    def __init__(self, dtype: str, ndim: int) -> None:
        self.dtype, self.ndim = dtype, ndim


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda one: one,
    "list": lambda one: [one],
    "tuple": lambda one: (one,),
    "deque": lambda one: deque([one]),
    "dict": lambda one: {"a": {"b": one}},
    "mapping": lambda one: UserDict(a=MappingProxyType({"a": one})),
    "values": lambda one: {"a": one}.values(),
    "items": lambda one: {"a": one}.items(),
    "iterator": lambda one: iter([one]),
    "nested": lambda one: {"a": iter([one])},
    "generator": lambda one: (each for each in [one]),
    "record": lambda one: [Cell(SimpleNamespace(a=one))],
    "iterable": Once,
    "numbered": Numbered,
}
HELD: dict[str, Any] = {"url": URL, "bytes": PNG, "cell": {"bytes": PNG, "path": None}}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("held", [*HELD, "message"])
def test_a_column_of_any_name_and_kind_is_rejected(holder: str, held: str) -> None:
    one: Any = {**HELD, "message": MESSAGE}[held]
    row = {"messages": TEXT, "frames": HOLDERS[holder](one)}
    assert refusal(row) == REJECTED
    skipped: Counter[str] = Counter()
    row["frames"] = HOLDERS[holder](one)
    assert find_images(row, skipped=skipped) == []
    assert skipped["image_part_unknown"] > 0


@pytest.mark.parametrize("holder", sorted(HOLDERS.keys() - {"dict", "mapping", "record", "nested"}))
def test_messages_under_another_key_are_rejected_also_beside_images(holder: str) -> None:
    row = {"messages": [MESSAGE], "other": HOLDERS[holder](MESSAGE)}
    assert refusal(row) == REJECTED
    text = {"role": "user", "content": "a.png"}
    assert refusal({"messages": [MESSAGE], "other": {"a": text}}) is None
    assert refusal({"messages": [MESSAGE], "other": text}) is None
    assert refusal({"messages": [MESSAGE], "prompt": "a.png"}) is None


def test_sets_and_keys_are_looked_into() -> None:
    for column in ({PNG}, {URL: 1}.keys(), frozenset({"a", URL})):
        assert refusal({"messages": TEXT, "frames": column}) == REJECTED


def test_columns_of_arrow_are_looked_into() -> None:
    pa: Any = pytest.importorskip("pyarrow")
    for one in HELD.values():
        for column in (pa.array([one]), pa.table({"a": [one]}), pa.scalar([one]), pa.scalar(one)):
            assert refusal({"messages": TEXT, "frames": column}) == REJECTED
    assert refusal({"messages": TEXT, "frames": pa.array(["a", "b"])}) is None


def test_what_else_a_row_of_text_has_is_no_image() -> None:
    row: dict[str, Any] = {
        "messages": TEXT,
        "token_ids": list(range(256)),
        "tags": {"a", "b"},
        "client": Client(),
        "made": datetime(2026, 1, 1, tzinfo=timezone.utc),
        "lock": object(),
    }
    assert refusal(row) is None
    for dtype, ndim, expected in (
        ("int64", 1, None),
        ("torch.float32", 2, None),
        ("uint8", 2, REJECTED),
        ("float32", 3, REJECTED),
    ):
        assert refusal({**row, "more": Numbers(dtype, ndim)}) == expected
