"""Token ids of a request that may be expanded already, for servers that expand them themselves.

Source: spec/README.md, section "Expansion".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..families import Adapter
from ..families.built_in import BuiltInAdapter
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire._generated.types import PlaceholderRange
from ..wire.errors import MMRawError
from ..wire.ref import RawMMRef
from .expansion import compact_prompt


def compact_ids(
    token_ids: Sequence[int],
    refs: Mapping[int, RawMMRef],
    images: int,
    adapter: Adapter,
    *,
    vocabulary: Mapping[str, int],
    engine: str,
    limits: Limits = DEFAULT_LIMITS,
) -> Sequence[int]:
    """The prompt with one target for each image; the same object where it came so.

    Args:
        token_ids: The prompt.
        refs: The refs of its images, by place.
        images: How many images it has, those without a ref among them.
        adapter: The family's.
        vocabulary: Ids by token.
        engine: The server.
        limits: Of refs and their count.

    Raises:
        MMRawError: lengths_differ (as many places as images), unsupported_option (other images
            beside refs in a prompt that is expanded), placeholder_mismatch (another count of tokens
            than the ref gives), and what `compact_prompt` raises, with the image's path.
    """
    spans = _runs(token_ids, adapter, vocabulary)
    if sum(span.length for span in spans) == images:
        return token_ids
    if len(spans) != images:
        message = f"expected places of {images} images in the prompt, got {len(spans)}"
        raise MMRawError("lengths_differ", message)
    if len(refs) != images:
        message = f"expected refs alone with expanded ids, got {len(refs)} for {images} images"
        raise MMRawError("unsupported_option", message)
    given = [refs[index] for index in range(images)]
    failed: MMRawError | None = None
    try:
        options: Any = {"vocabulary": vocabulary, "engine": engine, "limits": limits}
        return compact_prompt(token_ids, spans, adapter, refs=given, **options).token_ids
    except MMRawError as error:
        failed = error
    # There are as many images as places and refs, in one order.
    path = failed.path.replace("$.placeholders[", "$.images[").replace("$.refs[", "$.images[")
    raise MMRawError(failed.code, failed.message, path)


def _runs(
    token_ids: Sequence[int], adapter: Adapter, vocabulary: Mapping[str, int]
) -> list[PlaceholderRange]:
    """Finds the tokens of images: neighbours together, as far as the end of an image."""
    tokens = adapter.tokens if isinstance(adapter, BuiltInAdapter) else None
    ends = "" if tokens is None else tokens.end
    rows = "" if tokens is None else tokens.row_end
    inside = {vocabulary.get(text) for text in (adapter.pad_token, rows, ends) if text} - {None}
    found: list[PlaceholderRange] = []
    start: int | None = None
    for position, token in enumerate([*token_ids, None]):
        if token in inside:
            start = position if start is None else start
        # The token after the last row of an image, where there is one, belongs to it.
        is_over = token not in inside or (ends and token == vocabulary.get(ends))
        if start is not None and is_over:
            stop = position + (token in inside)
            found.append(PlaceholderRange(offset=start, length=stop - start))
            start = None
    return found
