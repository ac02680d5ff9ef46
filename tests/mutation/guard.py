"""The form of a mutation."""

from typing import NamedTuple


class Guard(NamedTuple):
    """A mutation (`old` becomes `new`), and the tests that must notice it.

    Attributes:
        name: For people, and to choose it on the command line.
        file: In the repository.
        old, new: The text that is replaced.
        tests: Arguments for pytest.
        times: How often `old` stands in the file; every one is replaced.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    times: int = 1
