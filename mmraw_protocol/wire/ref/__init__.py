"""Refs: the text that stands for one image on the wire.

Source: spec/README.md, sections "Refs" and "Order of checks"; schemas urn:mmraw:ref:*.
"""

from .checks import check_payload, check_raw_image_id, check_sources, normalize_run_id
from .model import Payload, RawMMRef, is_ref, plain_json
from .reading import parse_ref, read_ref, ref_from_fields
from .writing import format_ref, write_any, write_ref

__all__ = [
    "Payload",
    "RawMMRef",
    "check_payload",
    "check_raw_image_id",
    "check_sources",
    "format_ref",
    "is_ref",
    "normalize_run_id",
    "parse_ref",
    "plain_json",
    "read_ref",
    "ref_from_fields",
    "write_any",
    "write_ref",
]
