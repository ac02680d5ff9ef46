"""`mmraw generate`: one conversation to a server, and what the model answers."""

from __future__ import annotations

import argparse
import asyncio
import copy
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from ..conversation import environment
from ..conversation.family_tokens import DEFAULT_ENGINE, ENGINES
from ..conversation.image_refs import ref_messages
from ..conversation.messages import find_images, mm_data, pack_images
from ..families import Adapter
from ..wire._generated.families import FAMILIES
from ..wire.check import expected
from ..wire.content_parts import PART_TYPE
from ..wire.errors import MMRawError
from ..wire.extras import extra_module
from ..wire.features import MultiModalData
from ..wire.json import parse_json
from .inputs import parse_offsets, read_file, read_messages
from .options import (
    adapter_of,
    add_dialect,
    add_family,
    add_preparation,
    add_store,
    store_of,
    tell_notes,
)
from .output import print_json

if TYPE_CHECKING:
    from ..integrations.client import Completion, GenerateClient

_Answer = TypeVar("_Answer")

EXAMPLE = (
    "mmraw generate messages.json --server http://localhost:8000 --model Qwen/Qwen3-VL-2B-Instruct "
    "--storage inline --max-tokens 64"
)

#: --renderer -> the class in the package renderers.
RENDERERS = {name: kind for info in FAMILIES.values() for name, kind in info.renderers.items()}
DEFAULT_RENDERERS = {
    name: next(iter(info.renderers)) for name, info in FAMILIES.items() if info.renderers
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "messages", nargs="?", help="chat messages: a file, or - for standard input"
    )
    parser.add_argument("--server", required=True, help="URL, for example http://localhost:8000")
    parser.add_argument(
        "--engine", choices=ENGINES, default=DEFAULT_ENGINE, help="the server (default: vllm)"
    )
    parser.add_argument(
        "--chat",
        action="store_true",
        help="post the messages to /v1/chat/completions, refs as URLs: no tokenizer is needed",
    )
    parser.add_argument("--model", required=True, help="the model's name on the server")
    parser.add_argument("--tokenizer", help="the tokenizer's folder or name (default: the model)")
    parser.add_argument("--renderer", choices=RENDERERS, help="default: by family")
    parser.add_argument("--tools", help="a JSON file with a list of tools")
    parser.add_argument("--token-ids", help="a JSON file with the prompt's token ids")
    parser.add_argument(
        "--offsets", help="with --token-ids: the first pad of each image, e.g. 5,130"
    )
    add_family(parser)
    add_store(parser)
    parser.add_argument("--storage", choices=environment.STORAGES, help="default: offload")
    add_dialect(parser)
    add_preparation(parser)
    parser.add_argument("--max-tokens", type=int, default=256, help="default: 256")
    parser.add_argument("--temperature", type=float, default=0.0, help="default: 0")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds (default: 600)")


class Prompt(msgspec.Struct):
    """A prompt, and the renderer that reads the answer (None for one's own token ids)."""

    token_ids: list[int]
    images: MultiModalData | None
    renderer: Any = None


def run(args: argparse.Namespace) -> int:
    """Prints the answer's text; with --json, or where no renderer reads it, all of it."""
    messages = read_messages(args.messages)
    adapter = adapter_of(args)
    storage = args.storage or environment.storage()
    store = store_of(args, required=True) if storage == "offload" else None
    packing = {"storage": storage, "store": store}
    packing |= {"orientation": args.orientation, "alpha": args.alpha}
    if args.chat:
        return _run_chat(args, messages, adapter, packing)
    own = args.token_ids is not None
    prompt = (_own_prompt if own else _rendered)(args, messages, adapter, packing)
    completion = asyncio.run(_generate(args, prompt, args.run_id or environment.label_of(store)))
    text = None
    if prompt.renderer is not None:
        # The prompt tells whether the answer begins inside the model's thinking.
        read = prompt.renderer.parse_response(completion.token_ids, prompt_ids=prompt.token_ids)
        text = read.content
    if args.json or text is None:
        print_json(_report(completion, text))
    else:
        print(text)
    return 0


def _run_chat(
    args: argparse.Namespace, messages: list[Any], adapter: Adapter, packing: dict[str, Any]
) -> int:
    """Prints the answer to a chat."""
    noted: Counter[str] = Counter()
    options: dict[str, Any] = {"dialect": args.dialect, "run_id": args.run_id, "noted": noted}
    posted = _as_urls(ref_messages(messages, adapter, **packing, **options))
    tell_notes(noted)
    sampling = {"max_tokens": args.max_tokens, "temperature": args.temperature}
    ask = _asked(args, {}, lambda client: client.chat(posted, sampling_params=sampling))
    answer = asyncio.run(ask)
    if args.json or answer.text is None:
        print_json(answer._asdict())
    else:
        print(answer.text)
    return 0


def _as_urls(messages: list[Any]) -> list[Any]:
    """The messages with every image as the part that the route reads; they have refs alone."""
    found = copy.deepcopy(messages)
    for image in find_images(found):
        part = cast("dict[str, Any]", image.part)
        part.clear()
        part |= {"type": PART_TYPE, PART_TYPE: {"url": image.source}}
    return found


def _report(completion: Completion, text: str | None) -> dict[str, Any]:
    images = completion.multi_modal_data.mm_hashes.get("image", ())
    return {
        "content": text,
        "finish_reason": completion.finish_reason,
        "images": len(images),
        "prompt_tokens": len(completion.prompt_ids),
        "request_id": completion.request_id,
        "token_ids": completion.token_ids,
    }


def _own_prompt(
    args: argparse.Namespace, messages: list[Any], adapter: Adapter, packing: dict[str, Any]
) -> Prompt:
    """The prompt of --token-ids, with the images of the messages at --offsets."""
    document = parse_json(read_file(args.token_ids))
    if not isinstance(document, list) or not all(
        type(token) is int for token in cast("list[Any]", document)
    ):
        message = expected("a JSON list of integers in the file of --token-ids", document)
        raise MMRawError("invalid_type", message)
    offsets = [] if args.offsets is None else parse_offsets(args.offsets)
    packed = pack_images(messages, adapter, **packing)
    tell_notes(Counter(note for image in packed for note in image.notes))
    images = mm_data(packed, offsets)
    return Prompt(cast("list[int]", document), images)


def _rendered(
    args: argparse.Namespace, messages: list[Any], adapter: Adapter, packing: dict[str, Any]
) -> Prompt:
    """The prompt that the released renderers package makes."""
    inner = _renderer(args, adapter)
    from ..integrations.renderers import RawRenderer

    tools = None if args.tools is None else parse_json(read_file(args.tools))
    renderer = RawRenderer(inner, adapter, **packing)
    rendered = renderer.render(messages, tools=tools, add_generation_prompt=True)
    tell_notes(renderer.noted)
    return Prompt(list(rendered.token_ids), rendered.multi_modal_data, renderer)


def _renderer(args: argparse.Namespace, adapter: Adapter) -> Any:
    """The released renderer, with a processor that computes layouts only.

    Raises:
        MMRawError: missing_dependency, unsupported_option.
    """
    purpose = "for a released renderer (Python 3.11 or later), or pass --token-ids"
    package = extra_module("renderers", "renderers", purpose)
    base = extra_module("renderers.base", "renderers", purpose)
    name = args.renderer or DEFAULT_RENDERERS.get(adapter.family)
    if name is None:
        raise MMRawError("unsupported_option", "this family has no released renderer")
    tokenizer: Any = None
    try:
        tokenizer = base.load_tokenizer(args.tokenizer or args.model)
    except Exception:  # noqa: BLE001
        # Tokenizers' libraries raise any exception; the cause is in the folder that was named.
        tokenizer = None
    if tokenizer is None:
        message = "no tokenizer can be loaded; name its folder with --tokenizer"
        raise MMRawError("unsupported_option", message)
    from ..integrations.renderers import LayoutProcessor

    return getattr(package, RENDERERS[name])(tokenizer, processor=LayoutProcessor(adapter))


async def _generate(args: argparse.Namespace, prompt: Prompt, label: str) -> Completion:
    most = "max_new_tokens" if args.engine == "sglang" else "max_tokens"
    sampling: dict[str, Any] = {most: args.max_tokens, "temperature": args.temperature}
    if prompt.renderer is not None:
        sampling["stop_token_ids"] = list(prompt.renderer.get_stop_token_ids())
    given: dict[str, Any] = {"multi_modal_data": prompt.images, "sampling_params": sampling}
    options: dict[str, Any] = {"run_id": label, "dialect": args.dialect}
    return await _asked(args, options, lambda client: client.generate(prompt.token_ids, **given))


async def _asked(
    args: argparse.Namespace,
    options: dict[str, Any],
    ask: Callable[[GenerateClient], Awaitable[_Answer]],
) -> _Answer:
    """The server's answer; a rejection also shows the server's own words."""
    module = extra_module("mmraw_protocol.integrations.client", "client", "to reach a server")
    options = {**options, "engine": args.engine, "timeout": args.timeout}
    async with module.GenerateClient(args.server, args.model, **options) as client:
        try:
            return await ask(client)
        except module.ServerError as error:
            if error.detail and not args.json:
                print(f"server: {error.detail}", file=sys.stderr)
            raise
