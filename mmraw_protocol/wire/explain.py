"""Turns msgspec's refusals into MMRawError, without any of the input in them."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from ._generated.wire import RULES
from .errors import ErrorCode, MMRawError
from .json import check_json_value

# Compiled where they are used (and kept by re): nothing is explained where nothing is refused.
_PLACE = r" - at `(?:key in )?(\$[^`]*)`\Z"
_FIELD = r"\.([A-Za-z_][A-Za-z0-9_]*)(?=[\[.]|\Z)"
_MISSING = r"Object missing required field `([^`]*)`"
#: Modality keys that may be named in a path; other keys are input and stay out of it.
_NAMED_KEYS = frozenset({"image", "vision_chunk"})


def key_in_path(key: object) -> str:
    """A map's key as part of a path: named where the contract knows it, else `[...]`."""
    return f".{key}" if key in _NAMED_KEYS else "[...]"


def typed(value: Any, kind: Any, schema: str, path: str = "$") -> Any:
    """A decoded document as `kind`, which is the definition `schema` of spec/.

    Raises:
        MMRawError: what a text of the same document would be refused for.
    """
    failed: msgspec.ValidationError | None = None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        failed = error
    except UnicodeError:
        # A lone surrogate, which the check below names.
        pass
    check_json_value(value, path=path)
    raise explain(cast(msgspec.ValidationError, failed), schema, path)


def explain(error: msgspec.ValidationError, schema: str, path: str = "$") -> MMRawError:
    """The MMRawError for a typed decode of the definition `schema` that failed at `path`."""
    text = str(error)
    place = re.search(_PLACE, text)
    where = path + (place.group(1)[1:] if place else "")
    if match := re.match(_MISSING, text):
        return MMRawError("missing_field", f"required field {match.group(1)} is absent", where)
    if text.startswith("Object contains unknown field"):
        return MMRawError("unknown_field", "a field is not defined by the schema", where)
    fields = cast("list[str]", re.findall(_FIELD, where))
    for name in reversed(fields):
        for candidate in (schema, *RULES):
            rule = RULES.get(candidate, {}).get(name)
            if rule is not None:
                return MMRawError(_code(text, rule.error), f"expected {rule.hint}", where)
    return MMRawError(_code(text, "invalid_value"), "does not fit the schema", where)


def _code(text: str, rule: str) -> ErrorCode:
    """The rule's own code; a plain wrong type keeps `invalid_type` where the rule has none."""
    wrong_type = " got `" in text or text.startswith("Expected `array` of")
    if rule == "invalid_value" and wrong_type:
        return "invalid_type"
    return cast(ErrorCode, rule)
