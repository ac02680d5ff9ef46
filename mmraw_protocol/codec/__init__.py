"""Text codecs: strict base64, strict JSON, canonical JSON, data: URLs, hashes.

Source: spec/README.md, sections "Base64", "JSON" and "Hashing".
"""

from .base64text import decode_base64, decode_base64url, encode_base64, encode_base64url
from .datauri import DataUri, check_data_uri, parse_data_uri, parse_file_label
from .explain import explain, key_in_path, typed
from .hashes import mm_hash_of, sha256_hex
from .jsontext import (
    PROCESSED_KEYS,
    canonical_json,
    holds_processed_key,
    parse_json,
)
from .payload import check_payload_value

__all__ = [
    "PROCESSED_KEYS",
    "DataUri",
    "canonical_json",
    "check_data_uri",
    "check_payload_value",
    "decode_base64",
    "decode_base64url",
    "encode_base64",
    "encode_base64url",
    "explain",
    "holds_processed_key",
    "key_in_path",
    "mm_hash_of",
    "parse_data_uri",
    "parse_file_label",
    "parse_json",
    "sha256_hex",
    "typed",
]
