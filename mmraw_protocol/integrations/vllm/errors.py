"""The error that a client gets for a rejected request, in the form of vLLM's own errors."""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ...wire.errors import MMRawError
from ..serving.errors import place_of, status_of, text_of
from . import process
from .engine import VLLM

INVALID_REF = "invalid_mm_image_ref"
#: The server's own trouble (its store, its installation); the same request may pass later.
UNAVAILABLE = "mm_image_unavailable"


def features_error(error: MMRawError) -> tuple[int, dict[str, Any]]:
    """Status and JSON body for a refused request whose refs are in features.

    `error` has vLLM's four fields; `mmraw` beside them has the code of `urn:mmraw:errors:v1`, the
    image's modality and index (null where the whole body is meant) and the path in the features.
    """
    modality, index = place_of(error)
    is_own = error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
    body = {
        "message": text_of(error),
        "type": UNAVAILABLE if is_own else INVALID_REF,
        "param": f"features{error.path[1:]}" if error.path.startswith("$") else None,
        "code": error.http_status,
        "mmraw": {
            "code": error.code,
            "modality": modality,
            "index": index,
            "path": error.path,
        },
    }
    return error.http_status, {"error": body}


def url_error(error: MMRawError, status: HTTPStatus | None = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON body for a refused request whose refs are URLs: vLLM's own four fields."""
    status = status or status_of(error)
    kind = "BadRequestError" if status == HTTPStatus.BAD_REQUEST else status.phrase
    body = {"message": text_of(error), "type": kind, "param": None, "code": status.value}
    return status.value, {"error": body}


def vllm_error(error: MMRawError, text: str = "") -> Exception:
    """The error that vLLM answers with where it loads or processes; the request remembers ours.

    Args:
        error: Ours.
        text: The ref.
    """
    from vllm.exceptions import GracefulHTTPError, VLLMValidationError

    request = process.announced.get()
    if request is None:
        VLLM.report(error, None)
    else:
        error = request.remember(error, text)
    status, message = status_of(error), text_of(error)
    is_bad = status == HTTPStatus.BAD_REQUEST
    refused: Any = VLLMValidationError(message) if is_bad else GracefulHTTPError(message, status)
    if request is not None:
        # vLLM waits for all images of a request before it looks at the first error.
        request.loads.end(refused)
    return refused
