"""Image URLs in requests of any API: in JSON they have one of a few forms.

{"image_url": {"url": …}}    {"image_url": …}    {"type": "image_url", "url": …}
{"source": {"url": …}}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ..wire.content_parts import PART_TYPE
from ..wire.ref import is_ref

#: A JSON object.
Document = dict[str, Any]

#: Keys of a request whose text is no part of the prompt.
_NO_PROMPT = frozenset({"chat_template"})


def image_urls(document: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Every image URL of a request in its order, with its uuids."""
    for node in _nodes(document):
        value, source = node.get(PART_TYPE), node.get("source")
        if isinstance(value, dict):
            yield cast("Document", value).get("url"), _uuids(node, value)
        elif value is not None:
            yield value, _uuids(node)
        if "url" in node and node.get("type") == PART_TYPE:
            yield node["url"], _uuids(node)
        if isinstance(source, dict) and "url" in source:
            yield source["url"], _uuids(node, source)


def prompt_texts(document: Any) -> Iterator[str]:
    """All text of a request that may enter the prompt; refs and templates do not."""
    for node in _nodes(document):
        for key, value in node.items():
            if key in _NO_PROMPT:
                continue
            if isinstance(value, str):
                yield "" if is_ref(value) else value
            elif isinstance(value, list):
                yield from (text for text in cast("list[Any]", value) if isinstance(text, str))


def holds_ref(value: Any) -> bool:
    """True if a string somewhere in a value starts as refs do; no recursion, at any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if is_ref(value):
            return True
        if isinstance(value, dict):
            waiting += cast("Document", value).values()
        elif isinstance(value, list | tuple):
            found = cast("list[Any]", value)
            # A tensor in JSON, many thousands of numbers, holds nothing.
            waiting += [] if found and isinstance(found[0], int | float) else found
    return False


def _uuids(*nodes: Any) -> list[Any]:
    return [node["uuid"] for node in nodes if node.get("uuid") is not None]


def _nodes(document: Any) -> Iterator[Document]:
    """All objects of a document in their order; no recursion, at any depth."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            node = cast("Document", value)
            yield node
            waiting += [v for v in reversed(node.values()) if isinstance(v, (dict, list))]
        elif not (value and isinstance(value[0], (int, float))):
            # A prompt's tokens, many thousands of them, hold nothing.
            waiting += [v for v in reversed(value) if isinstance(v, (dict, list))]
