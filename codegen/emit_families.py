"""Emits wire/_generated/families.py: what the folders of spec/families/ say."""

from __future__ import annotations

from .ir import Model
from .python_text import FAMILIES, header, literal, snake
from .subset import Json, SchemaError

_FAMILY_CLASS = '''from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from ..check import Check
from . import checks, types


class Placeholder(NamedTuple):
    """The tokens of an image in a prompt.

    Attributes:
        token: The placeholder token.
        before, after: The tokens around the placeholder's span.
        row_end: The token after each row of the span, if there is one.
        end: The token after the last row instead.
    """

    token: str
    before: str
    after: str
    row_end: str
    end: str


class Line(NamedTuple):
    """A line of checkpoints.

    Attributes:
        model_types: `model_type` of its models.
        processor_classes: The classes of its processors in Transformers.
        parameters: Its published layout parameters that differ from the defaults.
        placeholder: The tokens of an image in its prompts.
        token_ids: The published ids of those tokens.
    """

    model_types: tuple[str, ...]
    processor_classes: tuple[str, ...]
    parameters: dict[str, Any]
    placeholder: Placeholder
    token_ids: dict[str, int]


class Expansion(NamedTuple):
    """A server's expansion of an image's place in a prompt.

    Attributes:
        model_types: `model_type` of the models that it serves.
        target: The token that it expands; the span replaces it, with the tokens around it.
        before, after: The tokens that it writes around the span, as texts.
        refused: The forms of the family that cannot be expanded or compacted, and why.
        item: What its items say of the layout, and the reading that each is (families/readings.py).
        parameters: The layout parameters that the server does not take from its image processor:
            values, or paths from the server's `model_config` or `processor`, or from `served`,
            SGLang's own processor; by model_type where only some models have them.
    """

    model_types: tuple[str, ...]
    target: str
    before: str
    after: str
    refused: dict[str, str]
    item: dict[str, str]
    parameters: dict[str, Any]


class Output(NamedTuple):
    """An output of the image processor for one image, as the ref decides it.

    Numbers are products such as `h*patch_size`: of integers, of t, h and w of the grid, of high and
    wide, the sides in pixels after resizing, of numbers of the payload, and of layout parameters.
    Between bars they are several, of which the largest counts.

    Attributes:
        output: Its name in a checkpoint's own code, whose model takes it by that name; the key
            that it is listed under is the name in Transformers.
        shape: How its shape begins.
        values: All its values; empty where they are not compared.
        returned: Whether the model takes it.
        padded: Whether several images are filled up with zeros to the largest; all are joined
            along the first dimension.
    """

    output: str
    shape: tuple[str, ...]
    values: tuple[str, ...]
    returned: bool
    padded: bool


class Tensors(NamedTuple):
    """The image processor's outputs for one image.

    Attributes:
        call: What the processor is called with besides the image, as its whole processor does;
            products as in `Output`.
        outputs: Its outputs, by the names that the model takes.
        token_types: The model's argument that marks tokens of images (1) and others (0), as its
            whole processor makes it; empty where the model takes none.
        positions: `grid` where a token of an image has a position by its row and one by its column,
            and that in time; empty if every token has its place in the prompt.
    """

    call: dict[str, str]
    outputs: dict[str, Output]
    token_types: str
    positions: str


class Configuration(NamedTuple):
    """The reading of a configuration file of the family.

    Attributes:
        whole: The layout parameters of the whole processor; the image processor's own do not count.
        sizes: The sets of keys that `size` may have.
        square: Whether a number means a square, and not a shortest edge.
        null: The meaning of null, by key; null for an absent key.
        fixed: The values that a key may have; the layout of others is not known.
        agreeing: Whether all places of a parameter must agree; else the first one wins.
        shared_model_types: The `model_type`s that other models have too.
    """

    whole: tuple[str, ...]
    sizes: tuple[tuple[str, ...], ...]
    square: bool
    null: dict[str, Any]
    fixed: dict[str, tuple[Any, ...]]
    agreeing: bool
    shared_model_types: tuple[str, ...]


class FamilyInfo(NamedTuple):
    """The rules of a built-in family, from spec/families/<name>/.

    Attributes:
        family: Its name in refs and envelopes.
        title: Its name for people.
        feature_modality: The modality under which the inference server files its images.
        placeholder: The tokens of an image in a prompt, by default.
        conventions: The placeholder conventions, the default first; empty where there is one.
        payload: The struct of its payload.
        read_payload: The payload of a JSON text, unchecked.
        grid_key: The field of the payload that is the grid.
        grid: Fields of the payload by the names that tables of layouts give them.
        answers: What its image processors answer, by name, and the reading of the layout that it
            is (families/readings.py); None if it says nothing about the layout.
        layout: The struct of its layout parameters, with the published defaults.
        check_layout: The check of layout parameters.
        config_names: Where a configuration has each layout parameter, the place that wins first;
            dots between the keys, an equals sign between two places that hold the same.
        image_processor_types: The image processors of Transformers, and the layout parameters that
            they take by default instead of the published ones.
        required: The layout parameters that a configuration without a type has all.
        configuration: How a configuration file is read.
        lines: The lines of checkpoints; the first is the default.
        fingerprint_order: The layout parameters in the positional fingerprint, where it has one.
        fingerprint_omits: The layout parameters that no fingerprint has, and the values for which.
        tensors: What its image processor makes of one image.
        vllm: How vLLM expands an image in a prompt.
        sglang: How SGLang does, where its target is not empty.
        renderers: The classes of the package renderers, by the name that people use.
    """

    family: str
    title: str
    feature_modality: str
    placeholder: Placeholder
    conventions: tuple[str, ...]
    payload: type[Struct]
    read_payload: Callable[[bytes], Any]
    grid_key: str
    grid: dict[str, str]
    answers: dict[str, str | None]
    layout: type[Struct]
    check_layout: Check
    config_names: dict[str, tuple[str, ...]]
    image_processor_types: dict[str, dict[str, Any]]
    required: tuple[str, ...]
    configuration: Configuration
    lines: dict[str, Line]
    fingerprint_order: tuple[str, ...]
    fingerprint_omits: dict[str, Any]
    tensors: Tensors
    vllm: Expansion
    sglang: Expansion
    renderers: dict[str, str]

    @property
    def presets(self) -> dict[str, dict[str, Any]]:
        """The published layout parameters that differ from the defaults, by line."""
        return {name: line.parameters for name, line in self.lines.items()}
'''


def emit(model: Model) -> dict[str, str]:
    """The generated module, by file name."""
    return {"families.py": _families(model)}


def _families(model: Model) -> str:
    out = [
        header(model, "The built-in families, from the folders of spec/families/.", *FAMILIES),
        _FAMILY_CLASS,
    ]
    rows = "".join(_family(model, family) for family in model.spec.families)
    out.append(f"FAMILIES: dict[str, FamilyInfo] = {{\n{rows}}}\n")
    default = next(name for name, info in model.spec.families.items() if info["default"])
    out.append(f"#: The family where a person names none.\nDEFAULT_FAMILY = {default!r}\n")
    return "\n\n".join(out)


def _family(model: Model, family: str) -> str:
    info = model.spec.families[family]
    placeholder = info["placeholder"]
    variant = next(v for v in model.built_in if v.family == family)
    layout = model.layout_of(family)
    grid = model.grid_key(variant.payload)
    names = {part.name: part.config_names for part in layout.fields}
    lines = "".join(
        f"            {name!r}: Line({literal(line['model_types'])}, "
        f"{literal(line['processor_classes'])}, {line['parameters']!r}, "
        f"{_placeholder(line['placeholder'])}, {line['token_ids']!r}),\n"
        for name, line in info["lines"].items()
    )
    return (
        f"    {family!r}: FamilyInfo(\n        family={family!r},\n"
        f"        title={info['title']!r},\n"
        f"        feature_modality={info['feature_modality']!r},\n"
        f"        placeholder={_placeholder(placeholder)},\n"
        f"        conventions={literal(placeholder['conventions'])},\n"
        f"        payload=types.{variant.payload},\n"
        f"        read_payload=Decoder(types.{variant.payload}).decode,\n"
        f"        grid_key={grid!r},\n"
        f"        grid={info['grid']!r},\n"
        f"        answers={info['answers']!r},\n"
        f"        layout=types.{layout.name},\n"
        f"        check_layout=checks.check_{snake(layout.name)},\n"
        f"        config_names={names!r},\n"
        f"        image_processor_types={info['image_processor_types']!r},\n"
        f"        required={literal(info['required'])},\n"
        f"        configuration={_configuration(info['configuration'])},\n"
        f"        lines={{\n{lines}        }},\n"
        f"        fingerprint_order={layout.fingerprint_order!r},\n"
        f"        fingerprint_omits={layout.fingerprint_omits!r},\n"
        f"        tensors={_tensors(model, family, variant.payload)},\n"
        f"        vllm={_expansion(info['vllm'])},\n"
        f"        sglang={_expansion(info['sglang'])},\n"
        f"        renderers={info['renderers']!r},\n    ),\n"
    )


def _placeholder(given: Json) -> str:
    parts = (repr(given[name]) for name in ("token", "before", "after", "row_end", "end"))
    return f"Placeholder({', '.join(parts)})"


def _tensors(model: Model, family: str, payload: str) -> str:
    given = model.spec.families[family]["tensors"]
    fields = [*model.layout_of(family).fields, *model.definitions[payload].fields]
    known = {"t", "h", "w", "high", "wide", *(part.name for part in fields)}
    products = [
        *given["call"].values(),
        *(text for out in given["outputs"].values() for text in (*out["shape"], *out["values"])),
    ]
    for product in products:
        parts = product.replace("|", "*").split("*")
        unknown = {part for part in parts if not part.isdecimal()} - known
        if unknown:
            raise SchemaError(f"families/{family}: no such number: {', '.join(sorted(unknown))}")
    rows = "".join(f"{name!r}: {_output(out)}, " for name, out in given["outputs"].items())
    more = f"{given['token_types']!r}, {given['positions']!r}"
    return f"Tensors({given['call']!r}, {{{rows}}}, {more})"


def _output(given: Json) -> str:
    shape, values = literal(given["shape"]), literal(given["values"])
    flags = f"{given['returned']}, {given['padded']}"
    return f"Output({given['output']!r}, {shape}, {values}, {flags})"


_EXPANSION = ("target", "before", "after", "refused", "item", "parameters")


def _configuration(given: Json) -> str:
    sizes = tuple(tuple(size) for size in given["sizes"])
    fixed = {name: tuple(values) for name, values in given["fixed"].items()}
    parts = (
        literal(given["whole"]),
        repr(sizes),
        repr(given["square"]),
        repr(given["null"]),
        repr(fixed),
        repr(given["agreeing"]),
        literal(given["shared_model_types"]),
    )
    return f"Configuration({', '.join(parts)})"


def _expansion(given: Json) -> str:
    parts = (repr(given[name]) for name in _EXPANSION)
    return f"Expansion({literal(given['model_types'])}, {', '.join(parts)})"
