"""Turns exceptions of an object store's client into this package's errors."""

from __future__ import annotations

from ..wire.errors import ErrorCode, MMRawError

#: Texts of servers and clients that identify a fault without a class of its own, in order.
_SIGNS: tuple[tuple[tuple[str, ...], ErrorCode, str], ...] = (
    (
        ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"),
        "store_invalid",
        "the bucket does not exist",
    ),
    (
        ("StorageFull", "QuotaExceeded", "507 Insufficient"),
        "store_full",
        "the object store has no room left; nothing half-written was left",
    ),
    (
        ("incorrectly configured region", "PermanentRedirect", "AuthorizationHeaderMalformed"),
        "store_invalid",
        "the bucket is in another region: set AWS_REGION",
    ),
    (
        ("169.254.169.254", "metadata.google.internal", "169.254.170.2"),
        "store_permission",
        "no credentials were found: set the cloud's variables or a profile",
    ),
    (
        ("403 Forbidden", "401 Unauthorized", "AccessDenied"),
        "store_permission",
        "the object store refuses these credentials",
    ),
    (
        ("URL scheme is not allowed",),
        "store_invalid",
        "plain http is used only if the endpoint's variable names it",
    ),
)


def store_error(error: Exception) -> MMRawError:
    """An error that carries nothing of the client's text, which names URLs, keys and answers."""
    text = str(error)
    for signs, code, message in _SIGNS:
        if any(sign in text for sign in signs):
            return MMRawError(code, message)
    if isinstance(error, FileNotFoundError):
        message = "no stored image of that name"
        return MMRawError("source_unavailable", message, "$.raw_image_id")
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError"):
        return MMRawError("store_permission", "the object store refuses these credentials")
    message = "the object store gave no valid answer within the allowed time and retries"
    return MMRawError("store_unavailable", message)
