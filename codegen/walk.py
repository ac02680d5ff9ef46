"""The one walk of a type: an emitter says what it writes for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .ir import (
    Boolean,
    Const,
    Integer,
    List,
    Map,
    Named,
    Nullable,
    Number,
    Opaque,
    String,
    Tuple,
    Type,
)
from .subset import SchemaError

Text = TypeVar("Text")


@dataclass(frozen=True)
class Kinds(Generic[Text]):
    """The text for each kind of type; the inner types come written already.

    `opaque` is None where an opaque object may only be a payload.
    """

    string: Callable[[String], Text]
    integer: Callable[[Integer], Text]
    number: Text
    boolean: Text
    const: Callable[[Const], Text]
    tuple_of: Callable[[Tuple, list[Text]], Text]
    list_of: Callable[[Text], Text]
    map_of: Callable[[Text], Text]
    nullable: Callable[[Text], Text]
    named: Callable[[str], Text]
    opaque: Text | None = None


def written(item: Type, kinds: Kinds[Text]) -> Text:
    """Returns the text that an emitter writes for a type.

    Raises:
        SchemaError: An opaque object where the emitter takes none.
    """
    match item:
        case String():
            return kinds.string(item)
        case Integer():
            return kinds.integer(item)
        case Number():
            return kinds.number
        case Boolean():
            return kinds.boolean
        case Const():
            return kinds.const(item)
        case Tuple():
            return kinds.tuple_of(item, [written(part, kinds) for part in item.items])
        case List():
            return kinds.list_of(written(item.item, kinds))
        case Map():
            return kinds.map_of(written(item.value, kinds))
        case Nullable():
            return kinds.nullable(written(item.inner, kinds))
        case Named():
            return kinds.named(item.name)
        case Opaque():
            if kinds.opaque is None:
                raise SchemaError("a JSON object with any keys may only be a payload")
            return kinds.opaque
