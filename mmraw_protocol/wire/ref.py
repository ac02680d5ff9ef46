"""Refs: the text that represents one image on the wire.

Source: spec/README.md, sections "Refs" and "Order of checks"; schemas urn:mmraw:ref:*.
"""

from ._generated.types import Payload
from .ref_model import (
    PREFIX,
    PREFIXES,
    RawMMRef,
    check_raw_image_id,
    is_ref,
    lost_fields,
    normalize_run_id,
    wire_of,
)
from .ref_read import parse_ref, read_raw_document, ref_from_fields
from .ref_write import format_ref, write_ref

__all__ = [
    "PREFIX",
    "PREFIXES",
    "Payload",
    "RawMMRef",
    "check_raw_image_id",
    "format_ref",
    "is_ref",
    "lost_fields",
    "normalize_run_id",
    "parse_ref",
    "read_raw_document",
    "ref_from_fields",
    "wire_of",
    "write_ref",
]
