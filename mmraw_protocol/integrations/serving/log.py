"""The refusals in a server's log."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus

from ...wire.errors import MMRawError
from .errors import place_of

#: Lines about refusals that are written in so many seconds; others are counted.
_MOST, _SECONDS = 50, 10.0
#: Characters that a log does not take from a client's id.
_ID = re.compile(r"[^\w.:-]", re.ASCII)


class RefusalLog:
    """One line for each refused request, without its input, and not more than a log can hold.

    Args:
        logger: Where lines go.
        clock: Seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger, self._clock = logger, clock
        self._since, self._written, self._dropped = -_SECONDS, 0, 0

    def refused(self, error: MMRawError, request_id: str | None) -> None:
        """Logs code, image and request; the server's own trouble at WARNING, with its message."""
        now = self._clock()
        if now - self._since >= _SECONDS:
            if self._dropped:
                self._logger.info("mmraw refused %d more requests, not logged", self._dropped)
            self._since, self._written, self._dropped = now, 0, 0
        if self._written >= _MOST:
            self._dropped += 1
            return
        self._written += 1
        index = place_of(error)[1]
        named = _ID.sub("?", request_id or "-"), error.code, "-" if index is None else index
        if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            text = "mmraw refused request %s: %s, image %s: %s"
            self._logger.warning(text, *named, error.message)
        else:
            self._logger.info("mmraw refused request %s: %s, image %s", *named)
