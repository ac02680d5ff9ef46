"""What a client reads when a request is refused, in the shape of vLLM's own errors."""

from __future__ import annotations

import re
from typing import Any

from ...wire.errors import MMRawError

INVALID_REF = "invalid_mm_image_ref"
#: The server's own trouble (its store, its installation); the same request may pass later.
UNAVAILABLE = "mm_image_unavailable"

_IMAGE = re.compile(r"\$\.\w+(?:\.(\w+)|\[\.\.\.\])\[(\d+)\]")


def error_body(error: MMRawError) -> dict[str, Any]:
    """The JSON body for a refused request.

    `error` has vLLM's four fields; `mmraw` beside them has the code of `urn:mmraw:errors:v1`, the
    image's modality and index (null where the whole body is meant) and the path in the features.
    """
    place = _IMAGE.match(error.path)
    index = int(place.group(2)) if place else None
    where = "" if index is None else f" (image {index})"
    return {
        "error": {
            "message": f"{error.code}: {error.message}{where}",
            "type": INVALID_REF if error.http_status < 500 else UNAVAILABLE,
            "param": f"features{error.path[1:]}" if error.path.startswith("$") else None,
            "code": error.http_status,
            "mmraw": {
                "code": error.code,
                "modality": place.group(1) if place else None,
                "index": index,
                "path": error.path,
            },
        }
    }
