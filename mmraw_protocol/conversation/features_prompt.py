"""A prompt with features, as the same prompt with content parts: what a server expands to it.

Source: spec/README.md, sections "Expansion" and "Refs as URLs".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..families import Adapter
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.check import key_in_path
from ..wire.content_parts import PART_TYPE
from ..wire.errors import MMRawError
from ..wire.features import Features, Slot
from .expansion import compact_prompt


class PartsPrompt(NamedTuple):
    """A prompt whose images are content parts.

    Attributes:
        token_ids: The prompt, with one target for each image.
        content_parts: The images, in the order of the prompt.
        paths: The path of each ref in the features, by its text; of one that is there twice,
            that of the first in the prompt.
    """

    token_ids: list[int]
    content_parts: list[dict[str, str]]
    paths: dict[str, str]


def features_to_prompt(
    features: Features,
    token_ids: Sequence[int],
    adapter: Adapter,
    *,
    vocabulary: Mapping[str, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> PartsPrompt:
    """The prompt and parts of which a server makes this prompt with these features.

    Args:
        features: The images.
        token_ids: The whole prompt, with a span for each image.
        adapter: The family's.
        vocabulary: As for `compact_prompt`.
        limits: Of refs and their count.

    Raises:
        MMRawError: what `compact_prompt` raises, with the image's path in the features; an empty
            path means the prompt.
    """
    slots = sorted(features.slots(), key=lambda slot: slot.placeholder.offset)
    failed: MMRawError | None = None
    try:
        prompt = compact_prompt(
            token_ids,
            [slot.placeholder for slot in slots],
            adapter,
            refs=[slot.ref for slot in slots],
            vocabulary=vocabulary,
            limits=limits,
        )
    except MMRawError as error:
        failed = error
    else:
        texts = [features.kwargs_data[slot.modality][slot.index] for slot in slots]
        paths: dict[str, str] = {}
        for text, slot in zip(texts, slots, strict=True):
            paths.setdefault(text, path_of(slot))
        parts = [{"type": PART_TYPE, "url": text} for text in texts]
        return PartsPrompt(prompt.token_ids, parts, paths)
    kind, _, rest = failed.path.partition("[")
    known = kind in ("$.placeholders", "$.refs")
    path = path_of(slots[int(rest.partition("]")[0])]) if known else ""
    raise MMRawError(failed.code, failed.message, path)


def path_of(slot: Slot) -> str:
    """The path of an image's ref in the features."""
    return f"$.kwargs_data{key_in_path(slot.modality)}[{slot.index}]"
