"""What the plugin logs: what stops a start, what a server serves, and each refusal."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from ..._version import __version__
from ...wire.errors import MMRawError
from .versions import RANGE, vllm_version

#: Below vLLM's own, which shows what is logged.
logger = logging.getLogger("vllm.mmraw")

#: Lines about refusals that are written in so many seconds; others are counted.
_MOST, _SECONDS = 50, 10.0
_INDEX = re.compile(r"\[(\d+)\]")
#: What a client may put into a log.
_ID = re.compile(r"[^\w.:-]", re.ASCII)


@contextmanager
def starting() -> Generator[None, None, None]:
    """Logs what stops the start, with versions and traceback, and lets it."""
    try:
        yield
    except Exception as error:
        versions = (__version__, vllm_version(), RANGE)
        logger.exception("mmraw %s cannot start in vLLM %s (tried: %s): %s", *versions, error)
        raise


def log_start(facts: Mapping[str, object]) -> None:
    """One line that says what is served, and with what; it holds no secret."""
    text = ", ".join(f"{name} {value}" for name, value in facts.items())
    logger.info("mmraw %s takes refs in vLLM %s: %s", __version__, vllm_version(), text)


class RefusalLog:
    """One line for each refused request, without its input, and not more than a log can hold.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since, self._written, self._dropped = -_SECONDS, 0, 0

    def refused(self, error: MMRawError, request_id: str | None) -> None:
        """Logs code, image and request; the server's own trouble at WARNING, with its message."""
        now = self._clock()
        if now - self._since >= _SECONDS:
            if self._dropped:
                logger.info("mmraw refused %d more requests, not logged", self._dropped)
            self._since, self._written, self._dropped = now, 0, 0
        if self._written >= _MOST:
            self._dropped += 1
            return
        self._written += 1
        found = _INDEX.search(error.path)
        named = _ID.sub("?", request_id or "-"), error.code, found[1] if found else "-"
        if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.warning("mmraw refused request %s: %s, image %s: %s", *named, error.message)
        else:
            logger.info("mmraw refused request %s: %s, image %s", *named)


#: Of this process.
refusals = RefusalLog()
