"""Records which reader or writer took a document: canonical texts have a reader of their own.

A property about both ways must have taken both; `takes` makes it fail where it has not.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mmraw_protocol.wire import base64, features_build, item, ref_read, ref_write

#: A route is taken in at least one example of this many.
SHARE = 20
#: Of fewer examples, as the profile `quick` tries, chance may leave a route out.
ENOUGH = 50


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts the texts and objects that each route gave a value for, or an error.

    `canonical` and `strict` are of refs that are read, `written` of those that are written without
    being read again, `struct` and `item` of envelopes, `together` and `each` of features bodies
    that are built.
    """
    taken: Counter[str] = Counter()

    def count(route: str, work: Callable[..., Any], *, undecided: bool) -> Callable[..., Any]:
        @functools.wraps(work)
        def counting(*args: Any, **more: Any) -> Any:
            if undecided:
                found = work(*args, **more)
                taken[route] += found is not None
                return found
            taken[route] += 1
            return work(*args, **more)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        readers = ref_read.canonical_readers
        for prefix, reader in readers.items():
            patch.setitem(readers, prefix, count("canonical", reader, undecided=True))
        for module, name, route, undecided in (
            (ref_read, "parse_strictly", "strict", False),
            (ref_write, "parse_strictly", "strict", False),
            (ref_write, "_write_canonical", "written", True),
            (item, "read_struct", "struct", True),
            (item, "_parse", "item", False),
            (features_build, "build_together", "together", True),
            (features_build, "_ref_of", "each", False),
        ):
            patch.setattr(module, name, count(route, getattr(module, name), undecided=undecided))
        yield taken


def takes(*routes: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Fails a property that does not take each of these routes in its share of the examples.

    It is put above `@given`.
    """

    def decorate(law: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(law)
        def watched(*args: Any, **more: Any) -> None:
            with counted() as taken, examples(law) as tried:
                law(*args, **more)
            least = math.ceil(tried[0] / SHARE) if tried[0] >= ENOUGH else 0
            missed = {route: taken[route] for route in routes if taken[route] < least}
            assert not missed, f"of {tried[0]} examples too few took a route: {missed}"

        return watched

    return decorate


@contextmanager
def examples(law: Callable[..., Any]) -> Iterator[list[int]]:
    """Counts the examples that Hypothesis tries of a property."""
    handle: Any = law.hypothesis  # type: ignore[attr-defined]
    inner, tried = handle.inner_test, [0]

    @functools.wraps(inner)
    def counting(*args: Any, **more: Any) -> Any:
        tried[0] += 1
        return inner(*args, **more)

    handle.inner_test = counting
    try:
        yield tried
    finally:
        handle.inner_test = inner


@contextmanager
def without_pybase64() -> Iterator[None]:
    """Base64 by the standard library alone, which skips what is not of the alphabet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base64, "_decode", base64._standard_decode)
        patch.setattr(base64, "encode_base64", base64._standard_encode)
        yield
