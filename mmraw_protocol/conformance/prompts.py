"""What this implementation answers to the operations on prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ..conversation.expansion import ImagePrompt, compact_prompt, expand_prompt
from ..families import get_adapter
from ..wire._generated.checks import check_placeholder_range
from ..wire._generated.limits import DEFAULT_LIMITS
from ..wire._generated.types import PlaceholderRange
from ..wire.errors import MMRawError

Input = Mapping[str, Any]
#: The largest integer that every reader of JSON keeps exactly.
_MOST = 2**53 - 1


def expand(value: Input) -> dict[str, Any]:
    """The answer to `expand_prompt`."""
    token_ids = _list(value, "token_ids", _token)
    refs = _list(value, "refs", _text)
    return _result(expand_prompt(token_ids, refs, **_options(value)))


def compact(value: Input) -> dict[str, Any]:
    """The answer to `compact_prompt`."""
    token_ids = _list(value, "token_ids", _token)
    refs = None if value.get("refs") is None else _list(value, "refs", _text)
    placeholders = _list(value, "placeholders", _range)
    return _result(compact_prompt(token_ids, placeholders, refs=refs, **_options(value)))


def _options(value: Input) -> dict[str, Any]:
    """The adapter, the vocabulary, the form and the engine."""
    vocabulary: Any = value.get("vocabulary")
    if vocabulary is not None:
        if not isinstance(vocabulary, dict):
            message = "expected an object in vocabulary"
            raise MMRawError("invalid_type", message, "$.vocabulary")
        for token in cast("dict[str, Any]", vocabulary).values():
            _token(token, "$.vocabulary")
    form = None if value.get("form") is None else _text(value.get("form"), "$.form")
    adapter = get_adapter(_text(value.get("family"), "$.family"), value.get("config"))
    options: dict[str, Any] = {"adapter": adapter, "vocabulary": vocabulary, "form": form}
    if value.get("engine") is not None:
        options["engine"] = _text(value.get("engine"), "$.engine")
    return options


def _list(value: Input, name: str, read: Callable[[Any, str], Any]) -> list[Any]:
    rows = value.get(name)
    if not isinstance(rows, list):
        raise MMRawError("invalid_type", f"expected a list in {name}", f"$.{name}")
    found = cast("list[Any]", rows)
    return [read(row, f"$.{name}[{index}]") for index, row in enumerate(found)]


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise MMRawError("invalid_type", "expected a string", path)
    return value


def _token(value: Any, path: str) -> int:
    if type(value) is not int:
        raise MMRawError("invalid_type", "expected a token's id, an integer", path)
    if not 0 <= value <= _MOST:
        raise MMRawError("invalid_value", "a token's id is from 0 to 2^53 - 1", path)
    return value


def _range(value: Any, path: str) -> PlaceholderRange:
    check_placeholder_range(value, path, DEFAULT_LIMITS)
    return PlaceholderRange(**value)


def _result(prompt: ImagePrompt) -> dict[str, Any]:
    places = [{"offset": p.offset, "length": p.length} for p in prompt.placeholders]
    return {"token_ids": prompt.token_ids, "placeholders": places}
