"""What a ref says, whatever dialect it was read from."""

from __future__ import annotations

from typing import Any

import msgspec

from .._generated.types import KimiK25Payload, QwenVlPayload
from .._generated.wire import DIALECTS, Dialect
from ..data_url import parse_file_label
from ..grids import Grid

PREFIX = "mmraw:"

#: A payload as this package holds it: typed for the families of spec/, else a JSON object.
Payload = QwenVlPayload | KimiK25Payload | dict[str, Any]


class RawMMRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image, as a ref of any dialect says it.

    Attributes:
        dialect: The dialect it was read from, or is meant for.
        family: Family of layouts, for example `qwen_vl`.
        fingerprint: 16 to 64 hex digits over the layout's knobs.
        mm_hash: Leading hex digits of the sha256 over the encoded image.
        modality: The feature modality, for example `image` or `vision_chunk`.
        payload: The family's typed payload; a JSON object where spec/ does not list the family.
        raw_image_id: Name of the stored image, or None.
        raw_uri: data: URL of the image, or a file: URL that is a label only, or None.
        run_id: The run's label without `run_`; None in dialects that carry none.
    """

    dialect: Dialect = "v3"
    family: str
    fingerprint: str
    mm_hash: str
    modality: str
    payload: Payload
    raw_image_id: str | None = None
    raw_uri: str | None = None
    run_id: str | None = None

    @property
    def stored_name(self) -> str | None:
        """The name to look up in a store: raw_image_id, else the last segment of a file: URL."""
        if self.raw_image_id is not None or self.raw_uri is None or self.is_inline:
            return self.raw_image_id
        return parse_file_label(self.raw_uri)

    @property
    def is_inline(self) -> bool:
        """Whether the ref carries the image's bytes."""
        return self.raw_uri is not None and self.raw_uri.startswith("data:")

    def fields(self) -> dict[str, Any]:
        """The fields by their wire names in `dialect`, absent ones left out, as plain JSON."""
        wire = DIALECTS[self.dialect]
        result: dict[str, Any] = {}
        for name, attribute in wire.fields:
            value = grid_of(self) if name == "grid_thw" else getattr(self, attribute)
            if value is not None:
                result[name] = plain_json(value)
        return result


def plain_json(value: Any) -> Any:
    """Structs and tuples as the objects and lists that JSON knows; other values as they are."""
    if isinstance(value, (msgspec.Struct, tuple)):
        return msgspec.json.decode(msgspec.json.encode(value))
    return value


def is_ref(text: object) -> bool:
    """Whether `text` is a string that starts as refs do; it may still be refused."""
    return isinstance(text, str) and text.startswith(PREFIX)


def grid_of(ref: RawMMRef) -> Any:
    """The grid as dialect v1 writes it; None where the family has no such name for it."""
    return ref.payload.image_grid_thw if isinstance(ref.payload, QwenVlPayload) else None


def payload_grid(payload: Payload) -> Grid | None:
    """The one grid of a typed payload; None for a JSON object."""
    if isinstance(payload, QwenVlPayload):
        return payload.image_grid_thw[0]
    return payload.grid_thws[0] if isinstance(payload, KimiK25Payload) else None
