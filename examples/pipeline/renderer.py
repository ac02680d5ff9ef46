"""The renderer's side: messages in, refs out, one request for each turn."""

import argparse
import asyncio
import json
from typing import Any

from tokens import PAD, decode, encode

from mmraw_protocol import (
    build_features,
    get_adapter,
    mm_data,
    offload_messages,
    open_store,
    pack_images,
)
from mmraw_protocol.conversation.messages import is_image_part
from mmraw_protocol.demo import example_pictures
from mmraw_protocol.integrations.client import GenerateClient

RUN_ID = "exp42"
ADAPTER = get_adapter("qwen_vl")


def conversations() -> list[list[list[dict[str, Any]]]]:
    """Two conversations; each is a list of turns, each turn a list of new messages."""
    coffee, cat, rocket, camera, horse = map(str, example_pictures())

    def ask(*pictures: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [{"type": "image", "image": path} for path in pictures]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": "Which colour?"}]}]

    return [[ask(coffee), ask(cat, rocket)], [ask(camera), ask(horse), ask(coffee)]]


def render(messages: list[dict[str, Any]], images: list[Any]) -> list[int]:
    """The prompt of a conversation, every image as its run of pads."""
    waiting = iter(images)
    text = ""
    for message in messages:
        text += f"<|im_start|>{message['role']}\n"
        for part in message["content"]:
            if is_image_part(part):
                text += ADAPTER.prompt_text(next(waiting).item.payload)
            else:
                text += part["text"]
        text += "<|im_end|>\n"
    return encode(text)


def offsets(ids: list[int], images: list[Any]) -> list[int]:
    """The position of the first pad of each image."""
    found: list[int] = []
    position = 0
    for image in images:
        position = ids.index(PAD, position)
        found.append(position)
        position += image.description.placeholder_length
    return found


async def main(args: argparse.Namespace) -> None:
    """Runs every conversation and writes one line for each."""
    store = open_store(args.store, run_id=RUN_ID)
    async with GenerateClient(args.server, "toy", run_id=RUN_ID) as client:
        with open(args.out, "w") as file:
            for turns in conversations():
                messages: list[dict[str, Any]] = []
                for turn in turns:
                    # The environment keeps what is small: each picture once in the store.
                    messages += offload_messages(turn, store)
                    images = pack_images(messages, ADAPTER, store=store, alpha="white")
                    prompt = render(messages, images)
                    data = mm_data(images, offsets(prompt, images))
                    answer = await client.generate(prompt, multi_modal_data=data)
                    text = decode(answer.token_ids)
                    part = {"type": "text", "text": text}
                    messages.append({"role": "assistant", "content": [part]})
                    row = {"prompt_ids": prompt, "answer": text, "messages": messages}
                    body = answer.multi_modal_data
                    features = build(body)
                    file.write(json.dumps({**row, "features": features}) + "\n")
                    print(f"{len(images)} images, {len(prompt)} tokens: {text}")


def build(data: Any) -> dict[str, Any]:
    """The features as they went out, kept beside the rollout for the trainer."""
    return build_features(data, run_id=RUN_ID)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--out", default="rollouts.jsonl")
    asyncio.run(main(parser.parse_args()))
