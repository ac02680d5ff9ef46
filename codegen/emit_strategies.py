"""Emits Hypothesis strategies for everything that spec/ defines."""

from __future__ import annotations

from .emit_python import SAFE, anchored, header
from .ir import (
    Const,
    Definition,
    Integer,
    List,
    Map,
    Model,
    Named,
    Nullable,
    Number,
    String,
    Tuple,
    Type,
    Variant,
)

_IMPORTS = (
    "from __future__ import annotations\n\n"
    "from typing import Any\n\n"
    "from hypothesis import strategies as st\n"
)
_HELPERS = (
    "def _object(required: dict[str, Strategy], optional: dict[str, Strategy]) -> Strategy:\n"
    "    return st.fixed_dictionaries(required, optional=optional)\n\n\n"
    "def _sourced(strategy: Strategy, *names: str) -> Strategy:\n"
    "    def has_source(value: dict[str, Any]) -> bool:\n"
    "        return any(value.get(name) is not None for name in names)\n\n"
    "    return strategy.filter(has_source)\n"
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
        header(model, "Hypothesis strategies of everything that spec/ defines."),
        _IMPORTS,
        "Strategy = st.SearchStrategy[Any]\n",
        _HELPERS,
        _OPENING,
    ]
    body = "".join(_definition(model, model.definitions[name]) for name in model.order)
    lines[-1] += body + "    return known\n"
    return {"strategies.py": "\n\n".join(lines)}


def _definition(model: Model, item: Definition) -> str:
    if item.type is not None:
        made = _strategy(item.type)
    elif item.by_family:
        variants = "".join(f"        {_object(item, variant)},\n" for variant in model.variants)
        made = f"st.one_of(\n{variants}    )"
    else:
        made = _object(item, None)
    if item.at_least_one:
        made = f"_sourced({made}, {', '.join(map(repr, item.at_least_one))})"
    return f"    known.setdefault({item.name!r}, {made})\n"


def _object(item: Definition, variant: Variant | None) -> str:
    required: list[str] = []
    optional: list[str] = []
    for part in item.fields:
        made = _strategy(part.type)
        if variant is not None and part.name == "payload":
            made = f"known[{variant.payload!r}]"
        elif variant is not None and part.name == "family":
            made = f"st.just({variant.family!r})" if variant.family else "known['OtherFamily']"
        target = required if part.required else optional
        target.append(f"{part.name!r}: {made}")
    return f"_object({{{', '.join(required)}}}, {{{', '.join(optional)}}})"


def _strategy(item: Type) -> str:
    if isinstance(item, String):
        if item.pattern is None:
            return "st.text(st.characters(codec='ascii'), max_size=40)"
        most = f".filter(lambda s: len(s) <= {item.max_length})" if item.max_length else ""
        return f'st.from_regex(r"{anchored(item.pattern)}"){most}'
    if isinstance(item, Integer):
        return f"st.integers({item.minimum}, {min(item.maximum, SAFE)})"
    if isinstance(item, Number):
        return "st.one_of(st.integers(-1000, 1000), st.floats(-1000, 1000, width=32))"
    if isinstance(item, Const):
        return f"st.just({item.value!r})"
    if isinstance(item, Tuple):
        return f"st.tuples({', '.join(map(_strategy, item.items))}).map(list)"
    if isinstance(item, List):
        return f"st.lists({_strategy(item.item)}, max_size=4)"
    if isinstance(item, Map):
        value = _strategy(item.value)
        return f"st.dictionaries(known['Modality'], {value}, max_size=3)"
    if isinstance(item, Named):
        return f"known[{item.name!r}]"
    if isinstance(item, Nullable):
        return f"st.one_of(st.none(), {_strategy(item.inner)})"
    return "known['OpaquePayload']"
