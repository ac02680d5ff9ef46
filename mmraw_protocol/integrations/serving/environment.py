"""Settings from MMRAW_* variables and from the file that one of them names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ...stores.modes import DIR_MODE_ENV, FILE_MODE_ENV
from ...wire.errors import MMRawError
from ...wire.json import parse_json

PREFIX = "MMRAW_"
FILE = "MMRAW_CONFIG"
#: The checkpoint of a script: its folder, or its hub id where it is in the local cache.
MODEL_ENV = "MMRAW_MODEL"

_LISTS = ("run_ids", "families")
_OBJECTS = ("limits", "store_options")


def given_values(variables: Mapping[str, str], names: Iterable[str]) -> dict[str, Any]:
    """The settings of the file that MMRAW_CONFIG names, overridden by other variables.

    Args:
        variables: An environment.
        names: Of the settings that there are.

    Raises:
        MMRawError: unsupported_option (a name that is no setting's, a file that cannot be read),
            what `parse_json` raises.
    """
    by_variable = {PREFIX + name.upper(): name for name in names}
    given = {key: text.strip() for key, text in variables.items() if key.startswith(PREFIX)}
    given = {key: text for key, text in given.items() if text}
    _refuse_unknown(given, [*by_variable, FILE, MODEL_ENV, FILE_MODE_ENV, DIR_MODE_ENV], "")
    values = _file_values(given[FILE]) if FILE in given else {}
    _refuse_unknown(values, by_variable.values(), f"{FILE}: ")
    found = {by_variable[key]: text for key, text in given.items() if key in by_variable}
    return values | {name: _parsed(name, text) for name, text in found.items()}


def _refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    # The prefix, which all have, makes none of them nearer.
    words = {name.removeprefix(PREFIX): name for name in known}
    for name in given:
        word = name.removeprefix(PREFIX)
        if word not in words:
            near = difflib.get_close_matches(word, words, n=1)
            which = f"did you mean {words[near[0]]}?" if near else f"they are {', '.join(words)}"
            message = f"{where}no setting is called {name[:64]!r}; {which}"
            raise MMRawError("unsupported_option", message)


def _file_values(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_bytes()
    except OSError:
        text = None
    if text is None:
        raise MMRawError("unsupported_option", f"expected a readable file in {FILE}, got none")
    document = parse_json(text)
    if not isinstance(document, dict):
        message = f"expected a JSON object in the file that {FILE} names"
        raise MMRawError("unsupported_option", message)
    return cast("dict[str, Any]", document)


def _parsed(name: str, text: str) -> Any:
    if name in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name not in _OBJECTS:
        return text
    failed: MMRawError | None = None
    try:
        return parse_json(text)
    except MMRawError as error:
        failed = error
    raise MMRawError(failed.code, f"{PREFIX}{name.upper()}: {failed.message}")
