"""Shared code of the tests here."""

from collections.abc import Callable
from typing import Any

import pytest
from s3_server import ACCESS_KEY, SECRET_KEY

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import ObjectStore

Opener = Callable[..., ObjectStore]


def refused(work: Callable[..., Any], *args: Any, **options: Any) -> MMRawError:
    """The refusal, which names neither place nor credentials."""

    def whole() -> None:
        # A listing is refused when it is read.
        list(work(*args, **options))

    with pytest.raises(MMRawError) as caught:
        whole()
    error = caught.value
    assert error.__context__ is None
    for secret in ("127.0.0.1", "images/", ACCESS_KEY, SECRET_KEY, "http", ".png"):
        assert secret not in error.message
    return error
