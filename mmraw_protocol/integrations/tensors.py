"""Compare an image processor's tensors of one image with its ref, and join them to batches.

Which outputs there are, how large they are and which the model takes is data of the family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from msgspec.structs import asdict

from ..families import GRID_KEY, Adapter, Layout
from ..families.built_in import BuiltInAdapter
from ..wire._generated.families import FAMILIES, Output
from ..wire._generated.families import Tensors as Outputs
from ..wire._generated.types import PlaceholderRange
from ..wire.errors import MMRawError
from ..wire.json import to_builtins
from ..wire.ref import Payload

Tensors = dict[str, Any]

#: Of a family that is not built in: patches in rows, and their grid.
_OTHER = Outputs(
    call={},
    outputs={
        "pixel_values": Output("pixel_values", ("t*h*w",), (), True, False),
        GRID_KEY: Output(GRID_KEY, (), ("t", "h", "w"), True, False),
    },
    token_types="",
    positions="",
)
_EVERY = [_OTHER, *(info.tensors for info in FAMILIES.values())]


def names_of(outputs: Outputs) -> list[str]:
    """The tensors that the family's models take, in the order of its folder."""
    return [name for name, output in outputs.outputs.items() if output.returned]


#: Names of image tensors in a sample, in any family: Transformers' names, and those of checkpoints'
#: own code.
TENSOR_NAMES = frozenset(
    name
    for outputs in _EVERY
    for key in names_of(outputs)
    for name in (key, outputs.outputs[key].output)
)
#: Names, in any family, of what distinguishes tokens of images from others in a sample.
TOKEN_TYPES = frozenset(outputs.token_types for outputs in _EVERY) - {""}
#: Tensors of a family that are padded to the largest, by the names of all of them.
_PADDED = {
    frozenset(names_of(outputs)): frozenset(n for n, o in outputs.outputs.items() if o.padded)
    for outputs in _EVERY
}


class ImageTensors:
    """The processor's outputs for one image, under one adapter.

    Args:
        adapter: The family and its layout parameters.
    """

    def __init__(self, adapter: Adapter) -> None:
        info = FAMILIES.get(adapter.family)
        config = getattr(adapter, "config", None)
        self.adapter = adapter
        self.outputs = _OTHER
        self._parameters: dict[str, Any] = {}
        if info is not None and isinstance(config, info.layout):
            self.outputs, self._parameters = info.tensors, asdict(config)

    @property
    def names(self) -> list[str]:
        """The tensors that the family's models take."""
        return names_of(self.outputs)

    def call(self) -> dict[str, Any]:
        """The arguments of the processor besides the image."""
        call = self.outputs.call
        return {name: _number(product, self._parameters) for name, product in call.items()}

    def token_types(self, length: int, spans: Sequence[PlaceholderRange]) -> Tensors:
        """Marks the tokens of a prompt that stand for images, if the family's models ask for it.

        Args:
            length: Of the prompt, in tokens.
            spans: Of its images.

        Returns:
            int64 of shape (length,): 1 within the spans, 0 elsewhere; under the argument's name.
        """
        if not self.outputs.token_types:
            return {}
        torch: Any = import_module("torch")
        types = torch.zeros(length, dtype=torch.int64)
        for span in spans:
            types[span.offset : span.offset + span.length] = 1
        return {self.outputs.token_types: types}

    def position_ids(self, sample: Mapping[str, Any]) -> Any:
        """The positions of a prompt's tokens, as the family's models count them.

        Args:
            sample: With `input_ids`, and where the prompt has images, with what `token_types` gives
                and their grids.

        Returns:
            int64 of shape (tokens,), or (4, tokens) where an image's tokens have positions in a
            grid: in the prompt, then by time, row and column.
        """
        torch: Any = import_module("torch")
        places = torch.arange(len(sample["input_ids"]))
        if not self.outputs.positions:
            return places
        grid = next(name for name, output in self.outputs.outputs.items() if output.values)
        types = sample.get(self.outputs.token_types)
        rows: list[list[int]] = sample[grid].tolist() if grid in sample else []
        merge = cast("BuiltInAdapter[Any, Any]", self.adapter).merge_size
        if types is None or not rows:
            return places.expand(4, -1)
        return torch.cat([places[None], _in_grids(torch, types.tolist(), rows, merge)])

    def checked(self, out: Mapping[str, Any], payload: Payload, layout: Layout) -> Tensors:
        """The tensors that the model takes, where all outputs are what the payload says.

        Args:
            out: The processor's outputs for one image, as torch tensors.
            payload: That of the image's ref.
            layout: That of the image.

        Raises:
            MMRawError: grid_mismatch.
        """
        grid = self.adapter.grid_thw(payload)
        if grid != layout.grid_thw:
            message = "expected the layout that the ref names, got another from the image"
            raise MMRawError("grid_mismatch", message, "$.payload")
        numbers = {**self._parameters, **to_builtins(payload)}
        numbers |= zip("thw", grid, strict=True)
        numbers |= zip(("wide", "high"), layout.resized, strict=True)
        found: Tensors = {}
        for name, output in self.outputs.outputs.items():
            # A checkpoint's own processor and model may have a name that Transformers has not.
            key = name if name in out else output.output
            tensor = out[key]
            shape = [_number(product, numbers) for product in output.shape]
            values = [_number(product, numbers) for product in output.values]
            same_shape = list(tensor.shape[: len(shape)]) == shape
            if not same_shape or (values and tensor.flatten().tolist() != values):
                message = "expected the layout that the ref names, got another from the processor"
                raise MMRawError("grid_mismatch", message, "$.payload")
            if output.returned:
                found[key] = tensor
        return found


def _in_grids(torch: Any, types: list[int], grids: list[list[int]], merge: int) -> Any:
    """Positions by time, row and column, of shape (3, tokens).

    Text counts on along all three. An image begins with the position behind the text before it; the
    text behind it goes on after its longer side. Source: multimodal rotary positions
    (arXiv:2409.12191, section 2.1).
    """
    parts: list[Any] = []
    position = at = 0
    waiting = iter(grids)
    while at < len(types):
        if types[at]:
            t, h, w = next(waiting)
            sides = torch.arange(t), torch.arange(h // merge), torch.arange(w // merge)
            parts.append(torch.stack(torch.meshgrid(*sides, indexing="ij")).flatten(1) + position)
            position += max(h, w) // merge
        else:
            end = next((i for i in range(at, len(types)) if types[i]), len(types))
            parts.append((torch.arange(end - at) + position).expand(3, -1))
            position += end - at
        at += parts[-1].shape[1]
    return torch.cat(parts, dim=1)


def _number(product: str, numbers: Mapping[str, Any]) -> Any:
    """The value of a product such as `h*patch_size`; a lone name keeps its value's type.

    Of several products between bars it is the largest.
    """
    if "|" in product:
        return max(_number(one, numbers) for one in product.split("|"))
    first, *others = (int(p) if p.isdecimal() else numbers[p] for p in product.split("*"))
    for factor in others:
        first *= factor
    return first


def concatenate(samples: Sequence[Mapping[str, Any]]) -> Tensors:
    """The tensors of several images or prompts as one, in order; empty ones add nothing.

    Pictures that their family's processor fills up to the largest of a call are filled up alike,
    with zeros on the right and at the bottom.

    Raises:
        MMRawError: layout_refused (images that no batch holds beside one another).
    """
    filled = [sample for sample in samples if sample]
    if not filled:
        return {}
    torch: Any = import_module("torch")
    padded = _PADDED.get(frozenset(filled[0]), frozenset())
    batch: Tensors = {}
    for name in filled[0]:
        rows = [sample[name] for sample in filled]
        if name not in padded and len({row.shape[1:] for row in rows}) > 1:
            message = f"no batch holds these images: {name} of one has another shape than of others"
            raise MMRawError("layout_refused", message)
        batch[name] = torch.cat(_padded(torch, rows) if name in padded else rows)
    return batch


def _padded(torch: Any, rows: Sequence[Any]) -> list[Any]:
    """Pictures of shape (n, channels, height, width), all as high and as wide as the largest."""
    high, wide = (max(row.shape[axis] for row in rows) for axis in (-2, -1))
    pad = torch.nn.functional.pad
    return [pad(row, (0, wide - row.shape[-1], 0, high - row.shape[-2])) for row in rows]
