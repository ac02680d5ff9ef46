"""A configuration as it was given, and what it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from ..wire.errors import MMRawError

Object = Mapping[str, Any]

#: Variants of one class, which lay images out alike.
_VARIANT = re.compile(r"(PilFast|Fast|Pil)\Z")


class Given(NamedTuple):
    """A configuration as it was given.

    Attributes:
        processor: The object of the image processor.
        whole: The object of the whole processor; None if there is the image processor alone.
        processor_class: The class of the whole processor, if it is named.
        model_type: Of the model's own configuration, if there is one.
        path: The path of `processor`.
        complete: Whether it stands where a checkpoint has it, so that the model's type tells the
            image processor if the configuration does not.
        mapping: Whether it may be layout parameters and nothing else.
    """

    processor: Object
    whole: Object | None = None
    processor_class: Any = None
    model_type: Any = None
    path: str = "$"
    complete: bool = False
    mapping: bool = False


def given_in(document: Object, *, mapping: bool = False) -> Given:
    """A configuration in a document: the image processor's own, or the whole processor's.

    Raises:
        MMRawError: invalid_config.
    """
    nested = document.get("image_processor")
    model_type = document.get("model_type")
    if nested is None:
        processor_class = document.get("processor_class")
        return Given(document, None, processor_class, model_type, mapping=mapping)
    if not isinstance(nested, Mapping):
        raise MMRawError("invalid_config", "expected an object", "$.image_processor")
    processor = cast(Object, nested)
    processor_class = name_in((document, processor), "processor_class")
    path = "$.image_processor"
    return Given(processor, document, processor_class, model_type, path, complete=True)


def type_of(processor: Mapping[str, Any]) -> Any:
    """The class of an image processor without its variant; None if it is not named."""
    kind = processor.get("image_processor_type")
    if kind is None:
        kind = processor.get("feature_extractor_type")
        if isinstance(kind, str):
            kind = kind.replace("FeatureExtractor", "ImageProcessor")
    return _VARIANT.sub("", kind) if isinstance(kind, str) else kind


def name_in(documents: Iterable[Mapping[str, Any]], key: str) -> Any:
    """The value of a key in the first document that has it; null counts as absent."""
    return next((found[key] for found in documents if found.get(key) is not None), None)
