"""The one walk of a type: its caller says what each kind of type gives."""

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

Result = TypeVar("Result")


@dataclass(frozen=True)
class Kinds(Generic[Result]):
    """What each kind of type gives, such as its text; the inner types come walked already.

    `opaque` is None where an opaque object may only be a payload.
    """

    string: Callable[[String], Result]
    integer: Callable[[Integer], Result]
    number: Result
    boolean: Result
    const: Callable[[Const], Result]
    tuple_of: Callable[[Tuple, list[Result]], Result]
    list_of: Callable[[Result], Result]
    map_of: Callable[[Result], Result]
    nullable: Callable[[Result], Result]
    named: Callable[[str], Result]
    opaque: Result | None = None


def written(item: Type, kinds: Kinds[Result]) -> Result:
    """Returns what `kinds` gives for a type, such as the text that an emitter writes.

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


_NONE: tuple[str, ...] = ()
_NAMES = Kinds(
    string=lambda _: _NONE,
    integer=lambda _: _NONE,
    number=_NONE,
    boolean=_NONE,
    const=lambda _: _NONE,
    tuple_of=lambda _, parts: tuple(name for names in parts for name in names),
    list_of=lambda names: names,
    map_of=lambda names: names,
    nullable=lambda names: names,
    named=lambda name: (name,),
    opaque=_NONE,
)


def uses(item: Type | None) -> tuple[str, ...]:
    """The names of the definitions that a type refers to."""
    return () if item is None else written(item, _NAMES)
