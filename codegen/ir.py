"""The intermediate representation: what every emitter sees of spec/."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .load import Spec
from .subset import Json, SchemaError


@dataclass(frozen=True)
class String:
    """A string; `pattern` in the syntax of JSON Schema (ECMA 262).

    A reader strips one `strip` at the beginning. The refs of a run share the `shared` ones, so
    that a reader of many keeps one copy.

    Where `syntax` names a hand-written check, that check is the rule, and `pattern` only tells
    other validators as much of it as a pattern can say.
    """

    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    excluded: tuple[str, ...] = ()
    limit: str | None = None
    syntax: str | None = None
    strip: str | None = None
    shared: bool = False


@dataclass(frozen=True)
class Integer:
    """An integer with bounds, both included; one of `choices` where there are some."""

    minimum: int
    maximum: int
    limit: str | None = None
    multiple_of: int = 1
    choices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Number:
    """Any finite number."""


@dataclass(frozen=True)
class Boolean:
    """True or false."""


@dataclass(frozen=True)
class Const:
    """One fixed string or integer, or null."""

    value: str | int | None


@dataclass(frozen=True)
class Tuple:
    """An array of fixed length; the product of its integers is at most the limit `product`."""

    items: tuple[Type, ...]
    product: str | None = None


@dataclass(frozen=True)
class List:
    """An array of any length."""

    item: Type


@dataclass(frozen=True)
class Map:
    """An object with any keys and values of one type."""

    value: Type


@dataclass(frozen=True)
class Opaque:
    """Any JSON object within the payload limits."""


@dataclass(frozen=True)
class Named:
    """A reference to a definition, by its name."""

    name: str


@dataclass(frozen=True)
class Nullable:
    """The inner type, or null."""

    inner: Type


Type: TypeAlias = (
    "String | Integer | Number | Boolean | Const | Tuple | List | Map | Opaque | Named | Nullable"
)


@dataclass(frozen=True)
class Variant:
    """A built-in family and the name of its payload; family None is 'any other'."""

    family: str | None
    payload: str


@dataclass(frozen=True)
class Field:
    """A property of an object: wire name, name in the model, and what documents it."""

    name: str
    attribute: str
    type: Type
    required: bool
    has_default: bool
    default: Any
    title: str
    description: str
    error: str
    hint: str
    config_names: tuple[str, ...] = ()
    omits_default: bool = False

    @property
    def is_flag(self) -> bool:
        """True if its presence is all that it says: an optional constant."""
        return not self.required and isinstance(self.type, Const) and self.type.value is not None


@dataclass(frozen=True)
class Definition:
    """One entry of some `$defs`."""

    name: str
    schema_id: str
    title: str
    description: str
    type: Type | None
    fields: tuple[Field, ...] = ()
    by_family: bool = False
    at_least_one: tuple[str, ...] = ()
    wire: Json | None = None
    is_default: bool = False
    since: str = ""
    family: str | None = None
    fingerprint_order: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    error: str = "invalid_value"
    hint: str = ""
    examples: tuple[Any, ...] = ()

    @property
    def fingerprint_omits(self) -> dict[str, Any]:
        """The layout parameters that no fingerprint has, and the values for which."""
        return {part.name: part.default for part in self.fields if part.omits_default}

    @property
    def dialect(self) -> str:
        """The name of a dialect of refs or envelopes."""
        if self.wire is not None:
            return str(self.wire["dialect"])
        return self.schema_id.removeprefix("urn:mmraw:item:")

    @property
    def is_object(self) -> bool:
        """True if this is a closed object with fields."""
        return self.type is None

    @property
    def is_ref(self) -> bool:
        """True if this is a dialect of refs."""
        return self.wire is not None

    @property
    def is_canonical(self) -> bool:
        """True if its canonical texts have a reader of their own: those of dialects in use."""
        if not self.by_family:
            return False
        return bool(self.wire["write"]) if self.wire is not None else self.is_default

    @property
    def is_item(self) -> bool:
        """True if this is a dialect of envelopes."""
        return self.by_family and self.wire is None


@dataclass(frozen=True)
class Model:
    """The whole of spec/."""

    spec: Spec
    definitions: dict[str, Definition]
    variants: tuple[Variant, ...]
    order: tuple[str, ...] = field(default=())

    @property
    def ordered(self) -> list[Definition]:
        """Every definition, each after all that it refers to."""
        return [self.definitions[name] for name in self.order]

    @property
    def refs(self) -> list[Definition]:
        """The dialects of refs."""
        return [item for item in self.definitions.values() if item.is_ref]

    @property
    def items(self) -> list[Definition]:
        """The dialects of envelopes."""
        return [item for item in self.definitions.values() if item.is_item]

    @property
    def built_in(self) -> list[Variant]:
        """The built-in families."""
        return [variant for variant in self.variants if variant.family is not None]

    @property
    def modalities(self) -> list[str]:
        """The modalities of built-in families, that of message parts, and the rejected ones."""
        found = {info["feature_modality"] for info in self.spec.families.values()}
        return sorted({"image", *found, *self.spec.modalities["unsupported"]})

    def grid_key(self, payload: str) -> str:
        """The field of a payload that is the grid: the first of that type, else the first."""
        fields = self.definitions[payload].fields
        grids = [part.name for part in fields if part.type == Named("GridThw")]
        return [*grids, fields[0].name][0]

    def layout_of(self, family: str) -> Definition:
        """The layout parameters of a built-in family."""
        for item in self.definitions.values():
            if item.family == family:
                return item
        raise SchemaError(f"families/{family}: no layout schema with x-mmraw-family {family}")
