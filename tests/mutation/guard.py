"""The form of a mutation."""

from typing import NamedTuple

#: Seconds for tests that take one or two, and hang without the guard.
HANGS = 30


class Guard(NamedTuple):
    """A mutation (`old` becomes `new`), and the tests that must notice it.

    Attributes:
        name: For people, and to choose it on the command line.
        file: In the repository.
        old, new: The text that is replaced.
        tests: Arguments for pytest.
        times: How often `old` stands in the file; every one is replaced.
        seconds: How long the tests may take. Those that hang without the guard have `HANGS`.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    times: int = 1
    seconds: int = 60
