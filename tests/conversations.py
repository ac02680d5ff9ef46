"""Conversations as clients write them: mappings, and objects with the same attributes."""

import dataclasses
from typing import Any

import samples

DATA_URL = samples.data_url(samples.PNG)


@dataclasses.dataclass
class Url:
    """A typed image_url."""

    url: str
    detail: str = "low"


@dataclasses.dataclass
class Part:
    """A typed content part."""

    type: str
    image_url: Url


def user(*parts: Any) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": list(parts)}]


def url_part(url: str) -> dict[str, Any]:
    """An image part of the chat API."""
    return {"type": "image_url", "image_url": {"url": url}}
