"""Emits Hypothesis strategies for everything that spec/ defines."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from .ir import Const, Definition, Integer, Model, Named, Nullable, String, Tuple, Type, Variant
from .python_text import RULES, SAFE, anchored, header
from .subset import SchemaError
from .walk import Kinds, written

_IMPORTS = (
    "from __future__ import annotations\n\n"
    "from typing import Any\n\n"
    "from hypothesis import strategies as st\n"
)
_HELPERS = (
    "def _object(required: dict[str, Strategy], optional: dict[str, Strategy]) -> Strategy:\n"
    "    return st.fixed_dictionaries(required, optional=optional)\n\n\n"
    "def _either(one: Strategy, other: Strategy) -> Strategy:\n"
    '    """Each in half of the examples: one_of would choose among the branches of both."""\n'
    "    return st.booleans().flatmap(lambda first: one if first else other)\n"
)
_OPENING = (
    "def build(overrides: dict[str, Strategy]) -> dict[str, Strategy]:\n"
    '    """Plain JSON for each definition, by name; `overrides` stand in where a rule is not\n'
    '    in the schema."""\n'
    "    known = dict(overrides)\n"
)


def emit(model: Model) -> dict[str, str]:
    """The generated module, by file name."""
    lines = [
        header(model, "Hypothesis strategies of everything that spec/ defines.", *RULES),
        _IMPORTS,
        "Strategy = st.SearchStrategy[Any]\n",
        _faults(model),
        _HELPERS,
        _OPENING,
    ]
    body = "".join(_definition(model, model.definitions[name]) for name in model.order)
    lines[-1] += body + "    return known\n"
    return {"strategies.py": "\n\n".join(lines)}


def _definition(model: Model, item: Definition) -> str:
    if item.type is not None:
        made = _strategy(model, item.type)
    else:
        variants = model.variants if item.by_family else (None,)
        # With each source in turn, since a filter would throw half of the examples away.
        sources = item.at_least_one or (None,)
        rows = {v: [_object(model, item, v, source) for source in sources] for v in variants}
        other = next((rows.pop(v) for v in variants if v is not None and v.family is None), None)
        made = _one_of([row for many in rows.values() for row in many])
        if other is not None:
            # Any other family is half of the examples, however many families are built in.
            made = f"_either({made}, {_one_of(other)})"
    return f"    known.setdefault({item.name!r}, {made})\n"


def _one_of(rows: list[str]) -> str:
    lines = "".join(f"        {row},\n" for row in rows)
    return f"st.one_of(\n{lines}    )" if len(rows) > 1 else rows[0]


def _object(model: Model, item: Definition, variant: Variant | None, source: str | None) -> str:
    required: list[str] = []
    optional: list[str] = []
    for part in item.fields:
        made = _strategy(model, part.type)
        if variant is not None and part.name == "payload":
            made = f"known[{variant.payload!r}]"
        elif variant is not None and part.name == "family":
            made = f"st.just({variant.family!r})" if variant.family else "known['OtherFamily']"
        elif part.name == source and isinstance(part.type, Nullable):
            made = _strategy(model, part.type.inner)
        target = required if part.required or part.name == source else optional
        target.append(f"{part.name!r}: {made}")
    return f"_object({{{', '.join(required)}}}, {{{', '.join(optional)}}})"


def _bounded(model: Model, item: Type, most: int) -> str:
    inner = model.definitions[item.name].type if isinstance(item, Named) else item
    if not isinstance(inner, Integer):
        raise SchemaError("a product is of integers")
    return _strategy(model, replace(inner, maximum=most))


def _strategy(model: Model, item: Type) -> str:
    def tuple_of(item: Tuple, parts: list[str]) -> str:
        if item.product:
            # Sides of which no choice is beyond the product's limit.
            most = int(model.spec.limits[item.product]["default"] ** (1 / len(item.items)))
            parts = [_bounded(model, part, most) for part in item.items]
        return f"st.tuples({', '.join(parts)}).map(list)"

    kinds = Kinds(
        string=_string,
        integer=_integer,
        number="st.one_of(st.integers(-1000, 1000), st.floats(-1000, 1000, width=32))",
        boolean="st.booleans()",
        const=lambda item: f"st.just({item.value!r})",
        tuple_of=tuple_of,
        list_of=lambda inner: f"st.lists({inner}, max_size=4)",
        map_of=lambda inner: f"st.dictionaries(known['Modality'], {inner}, max_size=3)",
        nullable=lambda inner: f"st.one_of(st.none(), {inner})",
        named=lambda name: f"known[{name!r}]",
        opaque="known['OpaquePayload']",
    )
    return written(item, kinds)


def _string(item: String) -> str:
    if item.pattern is None:
        return "st.text(st.characters(codec='ascii'), max_size=40)"
    most = f".filter(lambda s: len(s) <= {item.max_length})" if item.max_length else ""
    return f'st.from_regex(r"{anchored(item.pattern)}"){most}'


def _integer(item: Integer) -> str:
    if item.choices:
        return f"st.sampled_from({list(item.choices)})"
    if item.multiple_of != 1:
        least, most = -(-item.minimum // item.multiple_of), item.maximum // item.multiple_of
        return f"st.integers({least}, {most}).map(lambda n: n * {item.multiple_of})"
    return f"st.integers({item.minimum}, {min(item.maximum, SAFE)})"


#: Texts of which those that do not fit a pattern are emitted as wrong.
_TEXTS = ("", " ", "a b", "x\n", "\u00e9", "G", "..", "/etc/passwd", "http://example.org/a.png")


class _Long(int):
    """A string of that many characters, whose source text is short."""

    def __repr__(self) -> str:
        return f"'a' * {int(self)}"


def _faults(model: Model) -> str:
    """Emits what no reader may accept: wrong values by definition and field, required fields."""
    objects = [model.definitions[name] for name in model.order if model.definitions[name].is_object]
    wrong = "".join(
        f"    {item.name!r}: {{\n"
        + "".join(f"        {f.name!r}: {_row(_wrong(model, f.type))},\n" for f in item.fields)
        + "    },\n"
        for item in objects
    )
    needed = "".join(
        f"    {item.name!r}: {_row([f.name for f in item.fields if f.required])},\n"
        for item in objects
    )
    sources = "".join(
        f"    {item.name!r}: {_row(list(item.at_least_one))},\n"
        for item in objects
        if item.at_least_one
    )
    return (
        "#: definition -> field -> values that no reader may accept there\n"
        f"WRONG: dict[str, dict[str, tuple[Any, ...]]] = {{\n{wrong}}}\n\n"
        "#: definition -> fields that must be there\n"
        f"REQUIRED: dict[str, tuple[str, ...]] = {{\n{needed}}}\n\n"
        "#: definition -> fields of which one must be there\n"
        f"SOURCES: dict[str, tuple[str, ...]] = {{\n{sources}}}\n"
    )


def _row(values: list[Any]) -> str:
    return f"({', '.join(map(repr, values))},)" if values else "()"


def _wrong(model: Model, item: Type) -> list[Any]:
    def named(name: str) -> list[Any]:
        target = model.definitions[name].type
        return [None, 0, "x", []] if target is None else written(target, kinds)

    kinds = Kinds[list[Any]](
        string=_wrong_strings,
        integer=_wrong_integers,
        number=[None, True, "1", [], {}],
        boolean=[None, 0, 1, "true", [], {}],
        const=_wrong_constants,
        tuple_of=lambda item, parts: [None, 0, "x", {}, []],
        list_of=lambda inner: [None, 0, "x", {}],
        map_of=lambda inner: [None, 0, "x", []],
        nullable=lambda inner: [value for value in inner if value is not None],
        named=named,
        opaque=[None, 0, "x", []],
    )
    return written(item, kinds)


def _wrong_strings(item: String) -> list[Any]:
    fits = re.compile(anchored(item.pattern)) if item.pattern else None
    texts = [text for text in _TEXTS if fits and not fits.search(text)]
    long = [] if item.max_length is None else [_Long(item.max_length + 1)]
    return [None, 0, 1.5, True, [], {}, *texts, *long]


def _wrong_integers(item: Integer) -> list[Any]:
    least, most = item.minimum, item.maximum
    odd = [least + 1] if item.choices or (least + 1) % item.multiple_of else []
    return [None, least - 1, most + 1, float(least), True, str(least), [], {}, *odd]


def _wrong_constants(item: Const) -> list[Any]:
    if item.value is None:
        return [0, False, "", [], {}]
    near = f"{item.value}x" if isinstance(item.value, str) else float(item.value)
    return [None, near, 0, True, "", []]
