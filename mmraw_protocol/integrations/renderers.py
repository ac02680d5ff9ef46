"""Renderers that emit raw items: the released `renderers` package, unmodified, or one of your own.

A renderer of that package asks a processor for one thing only, the grid of each image. Here a
stand-in computes it from the image's size: no HF processor, no torch, and, since the messages
carry sizes in place of pictures, not one decoded pixel.

`create_raw_renderer` makes one from a tokenizer. Usable one by one: `LayoutProcessor` (the
stand-in), `sized_messages` (sizes in place of pictures), `raw_data` (from what a renderer returned
to raw items), `RawRenderer` (all three together). Only `create_raw_renderer` imports `renderers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ..conversation.found import Conversation
from ..conversation.messages import (
    PackedImage,
    changed,
    find_images,
    open_image_part,
    pack_found,
)
from ..conversation.reading import read_conversation
from ..families import Adapter, get_adapter
from ..images import ImageSource
from ..images.preparing import Alpha, Note, Orientation, Preparation, prepare
from ..stores.base import Storage
from ..system.shown import Shown
from ..wire._generated.families import FAMILIES
from ..wire._generated.limits import DEFAULT_LIMITS, Limits
from ..wire.errors import MMRawError
from ..wire.extras import extra_module
from .layout_processor import LayoutProcessor, SizedImage
from .rendered import attach, expand_pads, raw_data, sized_messages, with_images

__all__ = [
    "LayoutProcessor",
    "RawRenderer",
    "RawRendererConfig",
    "SizedImage",
    "create_raw_renderer",
    "expand_pads",
    "raw_data",
    "sized_messages",
]

#: `raw`: refs travel in place of tensors; `processed`: the renderer's own tensors.
MultimodalOutput = Literal["raw", "processed"]

#: Class of the package renderers -> the family of its models.
_FAMILIES = {kind: name for name, info in FAMILIES.items() for kind in info.renderers.values()}


class RawRendererConfig(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a renderer: how it handles images, and where it stores their bytes.

    Attributes:
        multimodal_output: `raw` or `processed`.
        storage, store, run_id, limits, allow_dropped: As for `raw_data`.
        orientation, alpha: As for `pack_images`.
        renderer: For `create_raw_renderer`: the package's own configuration, for example
            `Qwen3VLRendererConfig()`; None lets it choose by the tokenizer's name.
        adapter: For `create_raw_renderer`: the family and its configuration; None for the
            renderer's family under the checkpoint that the tokenizer is of.

    Raises:
        MMRawError: unsupported_option (another multimodal_output).
    """

    multimodal_output: MultimodalOutput = "raw"
    storage: Storage = "offload"
    store: Any = None
    run_id: str | None = None
    limits: Limits = DEFAULT_LIMITS
    allow_dropped: bool = False
    orientation: Orientation = "as-stored"
    alpha: Alpha = "refuse"
    renderer: Any = None
    adapter: Adapter | None = None

    def __post_init__(self) -> None:
        if self.multimodal_output not in ("raw", "processed"):
            message = "expected multimodal_output='raw' or 'processed', got another value"
            raise MMRawError("unsupported_option", message)
        _ = self.preparation

    @property
    def preparation(self) -> Preparation:
        """The handling of orientation and alpha."""
        return Preparation(orientation=self.orientation, alpha=self.alpha)


class RawRenderer:
    """A renderer around a renderer: what it returns carries raw items and byte hashes.

    `render` and `bridge_to_next_turn` return what the inner renderer returns, its own type, with
    `multi_modal_data` replaced. Everything else is the inner renderer's. Under a Kimi adapter with
    `placeholder="expanded"` the one pad of an image becomes one for each token (`expand_pads`).

    With `process_multimodal=False`, and with the configuration's `multimodal_output="processed"`,
    messages and results are the inner renderer's, unchanged: no image is read or stored. Under the
    first the server expands the prompt; the messages then have URLs, as `ref_messages` makes them.

    Args:
        renderer: Made with `processor=LayoutProcessor(adapter)`; for `processed` output, with the
            checkpoint's own processor.
        adapter: The family and its configuration.
        config: None for the defaults.
        settings: Fields of the configuration, which replace those of `config`.

    Attributes:
        noted: How often something became of orientation and alpha, by the notes of `pack_images`.
    """

    def __init__(
        self,
        renderer: Any,
        adapter: Adapter,
        config: RawRendererConfig | None = None,
        **settings: Any,
    ) -> None:
        self.renderer = renderer
        self.adapter = adapter
        self.raw_config = msgspec.structs.replace(config or RawRendererConfig(), **settings)
        self.noted: Counter[str] = Counter()
        self._expands = getattr(adapter, "placeholder", None) == "expanded"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.renderer, name)

    def render(self, messages: Sequence[Any], **options: Any) -> Any:
        """The prompt of a conversation.

        Args:
            messages: The conversation; it is not changed.
            options: Of the renderer, for example tools, add_generation_prompt, process_multimodal.

        Raises:
            MMRawError: what `raw_data` raises.
        """
        if self._passes(options):
            return self.renderer.render(messages, **options)
        packed, sized = self._prepared(messages)
        return self._converted(self.renderer.render(sized, **options), packed)

    def render_ids(self, messages: Sequence[Any], **options: Any) -> list[int]:
        """The token ids alone; nothing is stored."""
        if self._passes(options):
            # The package's own render_ids has no such option.
            return list(self.renderer.render(messages, **options).token_ids)
        conversation = read_conversation(messages)
        sized = _sized(conversation, [source for source, _ in self._opened(conversation)])
        rendered = self.renderer.render(sized, **options)
        if self._expands:
            rendered = expand_pads(rendered, self.adapter)
        return list(rendered.token_ids)

    def bridge_to_next_turn(
        self,
        previous_prompt_ids: list[int],
        previous_completion_ids: list[int],
        new_messages: Sequence[Any],
        **options: Any,
    ) -> Any:
        """The prompt of the next turn, with the images of all turns; None as the renderer's.

        Args:
            previous_prompt_ids: Of the turn before.
            previous_completion_ids: What the model answered to it.
            new_messages: What came after; they are not changed.
            options: Of the renderer; `previous_multi_modal_data` is what the turn before returned.

        Raises:
            MMRawError: what `raw_data` raises.
        """
        before = (previous_prompt_ids, previous_completion_ids)
        if self._passes(options):
            return self.renderer.bridge_to_next_turn(*before, new_messages, **options)
        packed, sized = self._prepared(new_messages)
        bridged = self.renderer.bridge_to_next_turn(*before, sized, **options)
        return None if bridged is None else self._converted(bridged, packed)

    def _passes(self, options: dict[str, Any]) -> bool:
        """True if messages and results are left as they are."""
        processed = self.raw_config.multimodal_output == "processed"
        return processed or options.get("process_multimodal") is False

    def _prepared(self, messages: Sequence[Any]) -> tuple[list[PackedImage], list[Any]]:
        """Packed images and sized messages; each image is read once."""
        config = self.raw_config
        conversation = read_conversation(messages)
        opened = self._opened(conversation)
        sources = [source for source, _ in opened]
        self.noted.update(note for _, notes in opened for note in notes)
        packed = pack_found(
            find_images(with_images(conversation, sources)),
            self.adapter,
            storage=config.storage,
            store=config.store,
            run_id=config.run_id,
            limits=config.limits,
            preparation=None,
        )
        return packed, _sized(conversation, sources)

    def _opened(self, conversation: Conversation) -> list[tuple[ImageSource, tuple[Note, ...]]]:
        """The images as they are packed."""
        config = self.raw_config
        return [
            prepare(
                open_image_part(image, config.limits, config.store, config.run_id),
                config.preparation,
                image.path,
            )
            for image in conversation.images
        ]

    def _converted(self, rendered: Any, packed: Sequence[PackedImage]) -> Any:
        if self._expands:
            rendered = expand_pads(rendered, self.adapter)
        data = attach(
            rendered,
            packed,
            self.adapter,
            limits=self.raw_config.limits,
            allow_dropped=self.raw_config.allow_dropped,
        )
        return changed(rendered, {"multi_modal_data": data})


def _sized(conversation: Conversation, sources: Sequence[ImageSource]) -> list[Any]:
    """The messages with sizes in place of their pictures."""
    sized = [
        SizedImage(source, image.layout_parameters)
        for image, source in zip(conversation.images, sources, strict=True)
    ]
    return with_images(conversation, sized)


def create_raw_renderer(tokenizer: Any, config: RawRendererConfig | None = None) -> Any:
    """A renderer of the package `renderers` for a tokenizer, which emits raw items.

    Args:
        tokenizer: As for the package's own `create_renderer`.
        config: None for the defaults. `processed` output gives the package's own renderer.

    Returns:
        A `RawRenderer`; under `processed`, what the package's `create_renderer` returns.

    Raises:
        MMRawError: missing_dependency, unsupported_option (a renderer of no family), and what
            `get_adapter` raises of the checkpoint, where the configuration names no adapter.
    """
    config = config or RawRendererConfig()
    purpose = "for the released renderers (Python 3.11 or later)"
    package = extra_module("renderers", "renderers", purpose)
    inner: Any = package.create_renderer(tokenizer, config.renderer)
    if config.multimodal_output == "processed":
        return inner
    adapter = config.adapter or _adapter_of(inner, tokenizer)
    # The package's create_renderer hands on no processor.
    sized = type(inner)(tokenizer, inner.config, processor=LayoutProcessor(adapter, config.limits))
    return RawRenderer(sized, adapter, config)


def _adapter_of(renderer: Any, tokenizer: Any) -> Adapter:
    """The adapter of a renderer's models, under the checkpoint that the tokenizer is of."""
    names = (kind.__name__ for kind in type(renderer).__mro__)
    family = next((_FAMILIES[name] for name in names if name in _FAMILIES), None)
    if family is None:
        message = "no family of refs has this renderer; multimodal_output='processed' leaves it"
        raise MMRawError("unsupported_option", message)
    return get_adapter(family, tokenizer.name_or_path)
