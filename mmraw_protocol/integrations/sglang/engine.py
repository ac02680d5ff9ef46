"""SGLang's versions, and what its clients read when a request is refused."""

# pyright: reportMissingImports=false, reportUnknownVariableType=false

from __future__ import annotations

from http import HTTPStatus

from ...wire.errors import MMRawError
from ..serving.engine import Engine
from ..serving.errors import text_of

#: docs/sglang-names.md compares them, by `make sglang-names`.
SGLANG = Engine("SGLang", "sglang", oldest=(0, 5, 20), newest=(0, 5, 23))


class RefusedRefError(ValueError):
    """What SGLang answers with `status_code`, and with 400 where it looks at the class alone."""

    def __init__(self, error: MMRawError, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(text_of(error))
        self.status_code = int(status)


def refusal(error: MMRawError, *, is_stream: bool = False) -> Exception:
    """The error that SGLang answers with; its text has code and image, and no input.

    Args:
        error: Ours. Trouble of the server's own is HTTP 503: the same request may pass later.
        is_stream: Whether the answer is streamed: then its status was sent, and it ends with an
            event that has the error.
    """
    if error.http_status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return RefusedRefError(error)
    unavailable = HTTPStatus.SERVICE_UNAVAILABLE
    if is_stream:
        return RefusedRefError(error, unavailable)
    from fastapi import HTTPException

    return HTTPException(unavailable, text_of(error), {"Retry-After": "1"})
