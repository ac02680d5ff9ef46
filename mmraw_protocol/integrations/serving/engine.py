"""Differences between servers that are no hooks: name, tried versions, place of the log."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from ..._version import __version__
from ...wire.errors import MMRawError
from .log import RefusalLog
from .metrics import default_metrics


class Engine:
    """One kind of server.

    Args:
        name: As people write it.
        package: Its package in Python.
        oldest: Of the versions that were tried, with as many numbers as tell them apart.
        newest: The same.

    Attributes:
        versions: The tried versions in words.
        logger: Below the package's own, which shows what is logged there.
    """

    def __init__(
        self, name: str, package: str, oldest: tuple[int, ...], newest: tuple[int, ...]
    ) -> None:
        self.name, self.package = name, package
        self.oldest, self.newest = oldest, newest
        self.versions = f"{name} {_dotted(oldest)} to {_dotted(newest)}"
        self.logger = logging.getLogger(f"{package}.mmraw")
        self.refusals = RefusalLog(self.logger)

    def version(self) -> str:
        """The version of the server that runs here, as the server reports it."""
        return str(getattr(sys.modules.get(self.package), "__version__", "unknown"))

    def check_version(self, version: str) -> bool:
        """Checks whether a version was tried.

        Args:
            version: As the server says it, for example `0.32.0+cpu`; what begins with no such
                numbers is newer.

        Raises:
            MMRawError: unsupported_option (it is older).
        """
        found = re.match(r"\.".join([r"(\d+)"] * len(self.oldest)), version)
        numbers = self.newest if found is None else tuple(map(int, found.groups()))
        if numbers < self.oldest:
            message = f"this {self.name} is too old: mmraw is for {self.versions}"
            raise MMRawError("unsupported_option", message)
        return found is not None and numbers <= self.newest

    def check_running(self) -> None:
        """Warns of a server that is newer than what was tried.

        Raises:
            MMRawError: unsupported_option (it is older).
        """
        if not self.check_version(self.version()):
            newer = "mmraw: %s %s is newer than %s"
            self.logger.warning(newer, self.name, self.version(), self.versions)

    @contextmanager
    def starting(self) -> Generator[None, None, None]:
        """Logs what stops the start, with versions and traceback, and lets it."""
        try:
            yield
        except Exception as error:
            known = (__version__, self.name, self.version(), self.versions)
            message = "mmraw %s cannot start in %s %s (tried: %s): %s"
            self.logger.exception(message, *known, error)
            raise

    def log_start(self, facts: Mapping[str, object]) -> None:
        """One line that says what is served, and with what; it holds no secret."""
        text = ", ".join(f"{name} {value}" for name, value in facts.items())
        known = (__version__, self.name, self.version())
        self.logger.info("mmraw %s takes refs in %s %s: %s", *known, text)

    def report(self, error: MMRawError, request_id: str | None) -> None:
        """Logs and counts one refusal."""
        self.refusals.refused(error, request_id)
        default_metrics().refused(error.code)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
