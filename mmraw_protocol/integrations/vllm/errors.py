"""What a client reads when a request is refused, in the shape of vLLM's own errors."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from ...wire.errors import MMRawError
from .body import Send

INVALID_REF = "invalid_mm_image_ref"
#: The server's own trouble (its store, its installation); the same request may pass later.
UNAVAILABLE = "mm_image_unavailable"

#: The place of an image URL among all of its request.
_LISTED = re.compile(r"\$\.images\[(\d+)\]")
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


def url_text(error: MMRawError, index: int | None) -> str:
    """The message for a refused ref that stood as an image URL; it begins with the code."""
    where = "" if index is None else f" (image {index})"
    return f"{error.code}: {error.message}{where}"


def url_error_body(error: MMRawError) -> dict[str, Any]:
    """The JSON body for a refused request whose refs are image URLs: vLLM's own four fields."""
    place = _LISTED.match(error.path)
    status = url_status(error)
    refused = status == HTTPStatus.BAD_REQUEST
    return {
        "error": {
            "message": url_text(error, None if place is None else int(place.group(1))),
            "type": "BadRequestError" if refused else status.phrase,
            "param": None,
            "code": status.value,
        }
    }


def url_status(error: MMRawError) -> HTTPStatus:
    """400, or 503 for the server's own trouble: the same request may pass later."""
    own = error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return HTTPStatus.SERVICE_UNAVAILABLE if own else HTTPStatus.BAD_REQUEST


async def answer(send: Send, status: int, body: dict[str, Any]) -> None:
    """Sends a whole answer."""
    data = msgspec.json.encode(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
