"""Adapters that installed packages offer by entry point.

A package that cannot be used breaks only its own families, and every error names it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from ..wire.errors import MMRawError
from .base import Adapter

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mmraw_protocol.adapters"

#: Makes an adapter from a configuration and a placeholder convention, either may be None.
Factory = Callable[[Any, "str | None"], Adapter]
#: SystemExit too: a package must not end the process that asks for its adapter.
_FAILURES = (Exception, SystemExit, GeneratorExit)


def plugin_families() -> frozenset[str]:
    """The families that installed packages offer, whether they can be imported or not."""
    return frozenset(_offered(tuple(sys.path)))


def plugin_factory(family: str) -> Factory | None:
    """The factory that an installed package offers for `family`; None if none does.

    Raises:
        MMRawError: unknown_family, when that package cannot be used.
    """
    entry = _offered(tuple(sys.path)).get(family)
    if entry is None:
        return None
    factory = _loaded(entry)
    if factory is None:
        raise _unusable(entry, "cannot be imported")

    def make(config: Any, placeholder: str | None) -> Adapter:
        try:
            adapter: Any = factory(config, placeholder)
        except MMRawError:
            raise
        except _FAILURES as error:
            raise _unusable(entry, f"failed with {type(error).__name__}") from None
        if not isinstance(adapter, Adapter):
            raise _unusable(entry, "made something that is no adapter")
        return adapter

    return make


@lru_cache(maxsize=1)
def _offered(_: tuple[str, ...]) -> dict[str, EntryPoint]:
    """The entry points by family; to look for them costs milliseconds, so it is done once a path.

    Clients choose the families of refs: the cost of an unknown one must not be a search.
    """
    # It takes long to import, and few processes ask for families of other packages.
    import importlib.metadata

    found: dict[str, EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


@lru_cache(maxsize=256)
def _loaded(entry: EntryPoint) -> Factory | None:
    """The factory; None for a package that cannot be imported, which is tried once."""
    try:
        factory: Any = entry.load()
    except _FAILURES:
        return None
    return cast(Factory, factory) if callable(factory) else None


def _unusable(entry: EntryPoint, what: str) -> MMRawError:
    package = "an installed package" if entry.dist is None else f"the package {entry.dist.name}"
    message = f"{package}, which registers this family, {what}"
    return MMRawError("unknown_family", message, "$.family")
