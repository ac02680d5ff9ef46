"""Access to the error of a rejection, which must keep every promise of tests/promises.py."""

from typing import Any

import pytest
from promises import broken_promise

from mmraw_protocol import MMRawError


def refused(work: Any, *args: Any, **options: Any) -> MMRawError:
    """The error by which `work` refuses; its first argument is the untrusted one."""
    with pytest.raises(MMRawError) as caught:
        work(*args, **options)
    assert broken_promise(caught.value, *args[:1]) is None
    return caught.value


def refused_code(work: Any, *args: Any, **options: Any) -> str:
    """The code that refuses."""
    return refused(work, *args, **options).code


def refusal(work: Any, *args: Any, **options: Any) -> tuple[str, str]:
    """The code and path that refuse."""
    error = refused(work, *args, **options)
    return error.code, error.path
