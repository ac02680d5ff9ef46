"""The error of an image as a client sees it."""

from __future__ import annotations

import re
from http import HTTPStatus

from ...wire.errors import MMRawError

#: Why other media are refused, where MMRAW_REFS_ONLY is set.
REFS_ONLY = "this server takes refs only (MMRAW_REFS_ONLY)"
#: An image among all URLs of its request, or in the lists of a modality.
_IMAGE = re.compile(r"\$\.(?:images|\w+(?:\.(?P<modality>\w+)|\[\.\.\.\]))\[(?P<index>\d+)\]")


def place_of(error: MMRawError) -> tuple[str | None, int | None]:
    """Modality and index of the image that is meant; None where the path does not say."""
    found = _IMAGE.match(error.path)
    return (found["modality"], int(found["index"])) if found else (None, None)


def status_of(error: MMRawError) -> HTTPStatus:
    """400 for a request; 503 for the server's own trouble: the same request may pass later."""
    is_own = error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return HTTPStatus.SERVICE_UNAVAILABLE if is_own else HTTPStatus.BAD_REQUEST


def text_of(error: MMRawError) -> str:
    """Code, message and image in one sentence, for servers whose errors are a sentence."""
    index = place_of(error)[1]
    return f"{error.code}: {error.message}" + ("" if index is None else f" (image {index})")
