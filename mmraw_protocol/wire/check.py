"""Parts of the generated checks: each raises the error of the first rule that is broken.

A check takes a decoded document, its path, and the limits. Keys are checked in
the document's order, then absent fields are reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from ._generated.errors import ErrorCode
from ._generated.limits import DEFAULT_LIMITS, Limits
from ._generated.modalities import MODALITIES
from .errors import MMRawError
from .json import canonical_json, check_json_value, has_tensor_key, processed_payload, to_builtins

#: Raises MMRawError if a value breaks a rule.
Check = Callable[[Any, str, Limits], None]

#: More values than a canonical ref has: if fewer are allowed, the strict reader counts them.
_FEW = 32


def allows_few_values(limits: Limits) -> bool:
    """True if no canonical ref of a built-in family holds too many values."""
    return limits is DEFAULT_LIMITS or min(limits.listed_values, limits.payload_nodes) > _FEW


class Patterns(dict[str, Any]):
    """The `match` of each family's pattern, compiled when it is first asked for.

    Compiling all of them would slow every import.
    """

    def __init__(self, texts: Mapping[str, str], *, of_bytes: bool) -> None:
        super().__init__()
        self._texts = texts
        self._of_bytes = of_bytes

    def __missing__(self, family: str) -> Any:
        text = self._texts[family]
        compiled: Any = re.compile(text.encode("ascii") if self._of_bytes else text)
        self[family] = compiled.match
        return compiled.match


#: Characters of an error's message at most.
_MOST_MESSAGE = 200


class Rule(NamedTuple):
    """The error of a wrong value, and what is expected there."""

    code: ErrorCode
    hint: str


class Field(NamedTuple):
    """A property of a closed object."""

    check: Check
    required: bool


def key_in_path(key: object) -> str:
    """A map's key as part of a path: named if the contract knows it, else `[...]`."""
    return f".{key}" if key in MODALITIES else "[...]"


def kind_in_words(value: Any) -> str:
    """Describes the kind of value that was got: its JSON type and its length, never its content."""
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, (list, tuple)):
        return f"an array of {len(cast('list[Any]', value))} values"
    if isinstance(value, Mapping):
        return f"an object of {len(cast('dict[Any, Any]', value))} fields"
    return _KINDS.get(cast("type[object]", type(value)), "a value of no JSON type")


_KINDS: dict[type[object], str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
}


def expected(what: str, value: Any) -> str:
    """The message that says what was expected and what kind of value was got."""
    message = f"expected {what}, got {kind_in_words(value)}"
    return message if len(message) <= _MOST_MESSAGE else f"expected {what}"


def _wrong(rule: Rule, path: str, value: Any) -> MMRawError:
    # Of an integer nothing but its value is wrong, and that is not repeated.
    message = expected(rule.hint, value).replace("got an integer", "got another integer")
    return MMRawError(rule.code, message, path)


def _wrong_type(rule: Rule, path: str, value: Any) -> MMRawError:
    code: ErrorCode = "invalid_type" if rule.code == "invalid_value" else rule.code
    return MMRawError(code, expected(rule.hint, value), path)


def check_limit(length: int, limits: Limits, limit: str, path: str) -> None:
    """Refuses a string that is longer than a limit.

    Raises:
        MMRawError: limit_exceeded.
    """
    most: int = getattr(limits, limit)
    if length > most:
        message = f"expected at most {most} characters, got {length}"
        raise MMRawError("limit_exceeded", message, path)


def string(
    rule: Rule, pattern: str = "", *, limit: str | None = None, longest: int | None = None
) -> Check:
    """A string that matches `pattern`, at most as long as a limit or a fixed number says."""

    def check(value: Any, path: str, limits: Limits) -> None:
        if not isinstance(value, str):
            raise _wrong_type(rule, path, value)
        # Compiled patterns are kept by `re`; compiling all of them would slow every import.
        if (longest is not None and len(value) > longest) or re.match(pattern, value) is None:
            raise _wrong(rule, path, value)
        if limit is not None:
            check_limit(len(value), limits, limit, path)

    return check


def integer(rule: Rule, least: int, most: int, *, multiple_of: int = 1) -> Check:
    """An integer within bounds; neither a boolean nor a float."""

    def check(value: Any, path: str, _: Limits) -> None:
        if type(value) is not int:
            raise _wrong_type(rule, path, value)
        if not least <= value <= most or value % multiple_of:
            raise _wrong(rule, path, value)

    return check


def choice(rule: Rule, choices: tuple[int, ...]) -> Check:
    """One of a few integers; neither a boolean nor a float."""
    within = integer(rule, min(choices), max(choices))

    def check(value: Any, path: str, limits: Limits) -> None:
        within(value, path, limits)
        if value not in choices:
            raise _wrong(rule, path, value)

    return check


def number(rule: Rule) -> Check:
    """An integer or a float."""

    def check(value: Any, path: str, _: Limits) -> None:
        if type(value) is not int and type(value) is not float:
            raise _wrong_type(rule, path, value)

    return check


def boolean(rule: Rule) -> Check:
    """True or false."""

    def check(value: Any, path: str, _: Limits) -> None:
        if type(value) is not bool:
            raise _wrong_type(rule, path, value)

    return check


def constant(rule: Rule, wanted: str | int | None) -> Check:
    """One value, of just its type."""

    def check(value: Any, path: str, _: Limits) -> None:
        if type(value) is not type(wanted):
            raise _wrong_type(rule, path, value)
        if value != wanted:
            raise _wrong(rule, path, value)

    return check


def nullable(inner: Check) -> Check:
    """None, or what `inner` accepts."""

    def check(value: Any, path: str, limits: Limits) -> None:
        if value is not None:
            inner(value, path, limits)

    return check


def array(rule: Rule, items: Sequence[Check], *, product: str | None = None) -> Check:
    """A list of fixed length; the product of its integers is at most the limit `product`."""

    def check(value: Any, path: str, limits: Limits) -> None:
        if not isinstance(value, (list, tuple)) or len(cast("list[Any]", value)) != len(items):
            raise _wrong_type(rule, path, value)
        whole = 1
        for index, (item, inner) in enumerate(zip(cast("list[Any]", value), items, strict=True)):
            inner(item, f"{path}[{index}]", limits)
            if product is not None:
                whole *= item
        if product is not None and whole > getattr(limits, product):
            message = f"expected a product of at most {getattr(limits, product)}"
            raise MMRawError("limit_exceeded", message, path)

    return check


def list_of(rule: Rule, inner: Check) -> Check:
    """A list of any length."""

    def check(value: Any, path: str, limits: Limits) -> None:
        if not isinstance(value, (list, tuple)):
            raise _wrong_type(rule, path, value)
        for index, item in enumerate(cast("list[Any]", value)):
            inner(item, f"{path}[{index}]", limits)

    return check


def map_of(rule: Rule, inner: Check) -> Check:
    """An object with any keys."""

    def check(value: Any, path: str, limits: Limits) -> None:
        if not isinstance(value, Mapping):
            raise _wrong_type(rule, path, value)
        for key, item in cast("Mapping[Any, Any]", value).items():
            inner(item, path + key_in_path(key), limits)

    return check


def by_family(value: Any, path: str, limits: Limits) -> None:
    """Stands for the payload in a closed object, if the sibling `family` decides its check."""
    raise NotImplementedError


def closed(
    fields: Mapping[str, Field],
    *,
    one_of: Sequence[str] = (),
    payloads: Mapping[Any, Check] | None = None,
    other: Check = by_family,
) -> Check:
    """An object with these fields and no other; at least one of `one_of` is there and not null.

    `payloads` checks the payload by the family; `other` checks that of any other family.
    """

    def check(value: Any, path: str, limits: Limits) -> None:
        if not isinstance(value, Mapping):
            raise MMRawError("invalid_type", expected("a JSON object", value), path)
        document = cast("Mapping[Any, Any]", value)
        for key, item in document.items():
            field = fields.get(key)
            if field is None:
                raise _unknown_field(fields, path)
            inner = field.check
            if inner is by_family:
                family = document.get("family")
                inner = other
                if payloads is not None and isinstance(family, str):
                    inner = payloads.get(family, other)
            inner(item, f"{path}.{key}", limits)
        for name, field in fields.items():
            if field.required and name not in document:
                message = f"expected field {name}, which is absent"
                raise MMRawError("missing_field", message, path)
        if one_of and all(document.get(name) is None for name in one_of):
            message = f"expected one of {', '.join(one_of)}, got none"
            raise MMRawError("missing_source", message, path)

    return check


_ALLOWED = "expected no other fields than "


def _unknown_field(fields: Mapping[str, Field], path: str) -> MMRawError:
    message = _ALLOWED + ", ".join(fields)
    if len(message) > _MOST_MESSAGE:
        message = f"expected none but the {len(fields)} fields of the schema"
    return MMRawError("unknown_field", message, path)


def allowed_fields(error: MMRawError) -> list[str]:
    """The fields that an error of `closed` names; empty if it names none."""
    if not error.message.startswith(_ALLOWED):
        return []
    return error.message.removeprefix(_ALLOWED).split(", ")


def check_opaque_payload(value: Any, path: str, limits: Limits) -> None:
    """An opaque payload: a JSON object within limits, without processed tensors.

    Its canonical text counts, not the received one, so that everything readable is writable.

    Raises:
        MMRawError: invalid_type, invalid_value, invalid_encoding, limit_exceeded,
            processed_payload.
    """
    if not isinstance(value, dict):
        raise MMRawError("invalid_type", expected("a JSON object", value), path)
    depth, values = limits.payload_depth, limits.payload_nodes
    check_json_value(value, max_depth=depth, max_values=values, path=path)
    if has_tensor_key(value):
        raise processed_payload(path)
    if len(canonical_json(to_builtins(value))) > limits.payload_bytes:
        most = limits.payload_bytes
        message = f"expected at most {most} bytes of canonical JSON in a payload, got more"
        raise MMRawError("limit_exceeded", message, path)
