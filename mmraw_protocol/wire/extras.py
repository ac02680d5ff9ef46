"""Modules that an extra of this package brings."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import Any

from .errors import MMRawError


def required_module(name: str, extra: str, purpose: str) -> Any:
    """A module without which the one that calls this cannot be imported; see `extra_module`.

    Raises:
        ImportError: the message names the extra.
    """
    with contextlib.suppress(MMRawError):
        return extra_module(name, extra, purpose)
    raise ImportError(f"install mmraw-protocol[{extra}] {purpose}", name=name)


def extra_module(name: str, extra: str, purpose: str) -> Any:
    """A module that is there only with one of the package's extras.

    Args:
        name: The module's full name.
        extra: The extra that brings it.
        purpose: What follows "install mmraw-protocol[…]" in the message: `to read images`.

    Raises:
        MMRawError: missing_dependency; the message names the extra.
    """
    with contextlib.suppress(ImportError):
        return import_module(name)
    raise MMRawError("missing_dependency", f"install mmraw-protocol[{extra}] {purpose}")
