"""Builds spec/vectors/find_images-sdk.jsonl from the types of the SDKs for messages.

Run in the environment that has them, tests/environments/spellings.lock; `make test` needs none:

    $(python3 tests/environments/install.py spellings) tests/message_spellings/record.py

`make test-spellings` compares the table with these types, and reads objects of their classes.

A message of each type is made from its annotations: every member of a union, every optional field
that can hold an image, each with a picture in it. What has no picture is left out.
"""

from __future__ import annotations

import json
import os
import re
import sys
import typing
from collections import abc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
OUT = ROOT / "spec" / "vectors" / "find_images-sdk.jsonl"

#: A PNG of one pixel: what must not vanish.
BASE64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
DATA_URL = f"data:image/png;base64,{BASE64}"
_DEPTH = 7


def values(kind: Any, name: str, depth: int = 0) -> Iterator[Any]:
    """JSON values of an annotation; the field's name says what a string is."""
    if depth > _DEPTH:
        return
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (typing.Required, typing.NotRequired, typing.Annotated) or str(origin).endswith(
        ("Required", "NotRequired", "ReadOnly")
    ):
        yield from values(arguments[0], name, depth)
    elif origin is Literal:
        yield arguments[0]
    elif origin is typing.Union or type(kind).__name__ == "UnionType":
        for one in arguments:
            if one is not type(None):
                yield from values(one, name, depth)
    elif type(kind).__name__ == "TypeAliasType":
        yield from values(kind.__value__, name, depth)
    elif isinstance(kind, type) and issubclass(kind, str) and kind is not str:
        yield next(iter(kind)).value if hasattr(kind, "__members__") else "x"
    elif kind is str or kind is bytes or "Url" in getattr(kind, "__name__", ""):
        yield from _texts(name)
    elif kind in (int, float):
        yield 1
    elif kind is bool:
        yield False
    elif origin in (list, tuple, abc.Iterable, abc.Sequence):
        for one in values(arguments[0], name, depth + 1):
            yield [one]
    elif origin is dict or kind in (dict, object, Any):
        yield {}
    elif hasattr(kind, "model_fields") or hasattr(kind, "__required_keys__"):
        yield from _objects(kind, depth)


def _texts(name: str) -> Iterator[str]:
    if name in ("data", "base64", "blob", "bytes", "image_bytes", "result", "file_data"):
        yield BASE64 if name != "file_data" else DATA_URL
    elif re.search(r"mime|media_type", name, re.I):
        yield "image/png"
    elif re.search(r"file_?id$", name, re.I):
        yield "file-1"
    elif re.search(r"ur[il]$|url$", name, re.I):
        yield DATA_URL
        yield "https://example.invalid/a.png"
    else:
        yield "x"


def _objects(kind: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Objects with the required fields, and one optional field each that can hold an image."""
    if hasattr(kind, "model_fields"):
        fields = {f.alias or n: f.annotation for n, f in kind.model_fields.items()}
        required = {f.alias or n for n, f in kind.model_fields.items() if f.is_required()}
    else:
        fields = typing.get_type_hints(kind, include_extras=True)
        optional = {n for n, f in fields.items() if str(get_origin(f)).endswith("NotRequired")}
        said = {n for n, f in fields.items() if str(get_origin(f)).endswith(".Required")}
        required = said | (set(kind.__required_keys__) - optional)
    # Media types go along: without one nobody tells what the bytes are.
    always = sorted(
        required | {name for name in fields if re.search(r"mime|media_type", name, re.I)}
    )
    if "type" in fields and "type" not in always:
        always.append("type")
    columns = [list(_some(fields[name], name, depth)) for name in always]
    for row in _rows(columns):
        base = dict(zip(always, row, strict=True))
        yield base
        for name in fields:
            if name in always:
                continue
            for value in _some(fields[name], name, depth):
                if holds_image(value):
                    yield {**base, name: value}


def _some(kind: Any, name: str, depth: int) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values(kind, name, depth + 1):
        found.setdefault(json.dumps(value, sort_keys=True), value)
    images = [value for value in found.values() if holds_image(value)]
    others = [value for value in found.values() if not holds_image(value)]
    return [*images, *others[:1]] if name not in ("source", "content") else [*images, *others]


def _rows(columns: list[list[Any]]) -> Iterator[list[Any]]:
    """The first values of all columns, and each other value of one column in turn."""
    if all(columns):
        yield [column[0] for column in columns]
        for at, column in enumerate(columns):
            for value in column[1:]:
                yield [value if i == at else other[0] for i, other in enumerate(columns)]


#: Types of parts whose file may be an image.
_FILES = re.compile(r'"type": "(image|input_image|computer_screenshot|file|input_file|document)"')
#: Keys under which texts name what they are about.
_CITED = (
    *("annotations", "citations", "citationsContent", "action", "results"),
    *("tabs", "state_changes", "tools"),
)


def holds_image(value: Any) -> bool:
    """True if a picture, its URL or its file id is in it."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        value = {name: one for name, one in fields.items() if name not in _CITED}
        if fields.get("file_id") == "file-1" and _FILES.search(json.dumps(fields)) is None:
            return False
        return "file_id" in fields or any(holds_image(one) for one in value.values())
    if isinstance(value, list):
        return any(map(holds_image, cast("list[Any]", value)))
    return isinstance(value, str) and (BASE64 in value or value.endswith((".png", "file-1")))


def types() -> Iterator[tuple[str, str, Any]]:
    """(SDK, where the value stands, annotation)."""
    # It would fetch a list of prices.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import anthropic.types as anthropic
    import anthropic.types.beta as beta
    import langchain_core.messages.content as langchain
    import litellm.types.llms.anthropic as litellm_anthropic
    import litellm.types.llms.bedrock as litellm_bedrock
    import litellm.types.llms.openai as litellm_openai
    import litellm.types.llms.vertex_ai as litellm_vertex
    import mcp.types as mcp
    import openai.types.chat as chat
    import openai.types.responses as responses
    from google.genai import types as genai

    yield "openai", "content", chat.ChatCompletionContentPartParam
    yield "openai", "message", chat.ChatCompletionUserMessageParam
    yield "openai", "content", responses.ResponseInputContentParam
    yield "openai", "message", responses.ResponseInputItemParam
    yield "anthropic", "message", anthropic.MessageParam
    yield "anthropic", "message", beta.BetaMessageParam
    yield "google-genai", "parts", genai.Part
    yield "google-genai", "parts", genai.PartDict
    yield "mcp", "content", mcp.ContentBlock
    yield "mcp", "message", mcp.SamplingMessage
    yield "mcp", "message", mcp.PromptMessage
    yield "mcp", "message", mcp.CallToolResult
    yield "langchain-core", "content", langchain.ContentBlock
    yield "litellm", "content", litellm_openai.OpenAIMessageContentListBlock
    yield "litellm", "message", litellm_anthropic.AnthropicMessagesUserMessageParam
    yield "litellm", "parts", litellm_vertex.PartType
    yield "litellm", "content", litellm_bedrock.ContentBlock


def written() -> Iterator[tuple[str, Any]]:
    """(library, messages or row) where a library has no type but code that reads parts."""
    import inspect

    import transformers.processing_utils as processing
    import trl.data_utils as trl

    source = inspect.getsource(processing.ProcessorMixin.apply_chat_template)
    keys = re.search(r'for key in \[([^\]]*"url"[^\]]*)\]', source)
    names = re.findall(r'"(\w+)"', keys.group(1)) if keys else ["image", "url", "path", "base64"]
    for name in names:
        value = {"base64": BASE64, "path": "/data/a.png"}.get(name, DATA_URL)
        part = {"type": "image", name: value}
        yield "transformers", [{"role": "user", "content": [part, {"type": "text", "text": "x"}]}]
    slot: dict[str, Any] = {"type": "image"}
    text = {"type": "text", "text": "x"}
    for prompt in ("What?", [slot, text]):
        messages = [{"role": "user", "content": prompt}]
        made = trl.prepare_multimodal_messages(messages, images=[DATA_URL])
        yield "trl", made
        yield "trl", {"messages": messages, "images": [DATA_URL]}
        yield "trl", {"prompt": messages, "images": [{"bytes": BASE64, "path": None}]}


def conversations() -> Iterator[tuple[str, Any]]:
    """(SDK, messages) with a picture, each shape once."""
    seen: set[str] = set()
    for sdk, where, kind in types():
        for value in values(kind, "content"):
            if not holds_image(value):
                continue
            row: Any = value
            if where != "message":
                row = {"role": "user", where: [value]}
            key = json.dumps({**row, "role": "user"}, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield sdk, [row]
    for sdk, row in written():
        yield sdk, row


def lines() -> list[str]:
    """The table, sorted."""
    from mmraw_protocol.conformance.operations import OPERATIONS
    from mmraw_protocol.wire.errors import MMRawError

    counts: dict[str, int] = {}
    found: list[str] = []
    for sdk, messages in conversations():
        counts[sdk] = counts.get(sdk, 0) + 1
        given = messages if isinstance(messages, dict) else {"messages": messages}
        row: dict[str, Any] = {
            "id": f"sdk_messages/{sdk}-{counts[sdk]:03}",
            "op": "find_images",
            "input": given,
        }
        try:
            row["result"] = OPERATIONS["find_images"](given)
        except MMRawError as error:
            row["error"] = {"code": error.code, "path": error.path}
        row["spec"] = "Messages"
        found.append(json.dumps(row, ensure_ascii=True, separators=(",", ":")))
    return sorted(found)


def main() -> None:
    """Writes the table."""
    OUT.write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
