"""How vLLM gets a processed image: as text in the request, or past the request's text.

A client would write the tensors as base64 into the request, and vLLM reads them from there. Inside
one process that is a detour over several megabytes. `DirectHandover` puts an unguessable key into
the request and gives vLLM the item where it would decode the text.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol

from ...wire.errors import MMRawError

#: Not base64: no text of a client's that vLLM would decode starts like this.
KEY_PREFIX = "mmraw-item:"
#: The module that decodes the strings of kwargs_data, and the name under which it does.
DECODING = ("vllm.entrypoints.scale_out.token_in_token_out.mm_features", "decode_mm_kwargs_item")


class Handover(Protocol):
    """A way to hand an item to vLLM."""

    def text(self, item: Any) -> str:
        """What stands for the item in the request."""
        ...

    def discard(self, texts: Sequence[str]) -> None:
        """The request of these texts is over."""
        ...


class EncodedHandover:
    """Items as base64 text, as vLLM's own client writes them."""

    def __init__(self, encode: Callable[[Any], str]) -> None:
        self._encode = encode

    def text(self, item: Any) -> str:
        """The item, whole."""
        return self._encode(item)

    def discard(self, texts: Sequence[str]) -> None:
        """Nothing is kept."""


class DirectHandover:
    """Items by keys; each key is good for once, and until its request is over.

    Args:
        decode: What vLLM decodes other texts with.
    """

    def __init__(self, decode: Callable[[str], Any]) -> None:
        self.decode = decode
        self._items: dict[str, Any] = {}

    def text(self, item: Any) -> str:
        """A key for the item."""
        key = KEY_PREFIX + secrets.token_hex(16)
        self._items[key] = item
        return key

    def take(self, text: str) -> Any:
        """The item of a key; anything else is decoded as vLLM does."""
        if not text.startswith(KEY_PREFIX):
            return self.decode(text)
        # Taken away at once: an answer may stream for minutes, and vLLM has what it needs.
        item = self._items.pop(text, None)
        if item is None:
            raise ValueError("no image is known by this key")
        # A copy: vLLM may change what it was given, and the cache keeps the original.
        return type(item)(item)

    def discard(self, texts: Sequence[str]) -> None:
        """Forgets the items of these keys."""
        for text in texts:
            self._items.pop(text, None)


def direct_handover() -> DirectHandover:
    """A handover that is in place in this process's vLLM; a second one replaces the first.

    Raises:
        MMRawError: unsupported_option (this vLLM decodes elsewhere).
    """
    module: Any = None
    try:
        module = import_module(DECODING[0])
    except ImportError:
        module = None
    current = getattr(module, DECODING[1], None)
    if current is None:
        message = "this vLLM has no place for MMRAW_HANDOVER=direct; set it to encoded"
        raise MMRawError("unsupported_option", message)
    owner = getattr(current, "__self__", None)
    decode = owner.decode if isinstance(owner, DirectHandover) else current
    handover = DirectHandover(decode)
    setattr(module, DECODING[1], handover.take)
    return handover
