"""Hypothesis strategies for consumers: refs, envelopes, features, and what must be refused.

Needs the extra `testing`. Every value is generated from the schemas of spec/; what a schema cannot
say (grids on the merge raster, hashes that fit their bytes) is added here. Strategies without
`refused` in their name give what every reader accepts, those with it what every reader refuses.
"""

from .accepted import (
    compact,
    content_parts,
    documents,
    features,
    grids,
    hash_of,
    images,
    items,
    json_values,
    messages,
    mm_refs,
    near_misses,
    payloads,
    ref_fields,
    ref_text,
    refs,
)
from .refused import refused_documents, refused_features, refused_items, refused_refs

__all__ = [
    "compact",
    "content_parts",
    "documents",
    "features",
    "grids",
    "hash_of",
    "images",
    "items",
    "json_values",
    "messages",
    "mm_refs",
    "near_misses",
    "payloads",
    "ref_fields",
    "ref_text",
    "refs",
    "refused_documents",
    "refused_features",
    "refused_items",
    "refused_refs",
]
