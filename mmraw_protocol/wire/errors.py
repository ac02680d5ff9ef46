"""The one exception of this package."""

from __future__ import annotations

from ._generated.errors import ERRORS, ErrorCode

__all__ = ["ERRORS", "ErrorCode", "MMRawError"]


class MMRawError(ValueError):
    """An input was refused.

    Attributes:
        code: One of the codes of `urn:mmraw:errors:v1` (`ERRORS`).
        path: Where in the document, in the form ``$.kwargs_data.image[0]``; ``$`` is the whole.
        message: At most 200 printable ASCII characters that help a person; never input text.
    """

    code: ErrorCode
    path: str
    message: str

    def __init__(self, code: ErrorCode, message: str, path: str = "$") -> None:
        super().__init__(code, message, path)
        self.code = code
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{self.code} at {self.path}: {self.message}"

    @property
    def http_status(self) -> int:
        """The HTTP status that a server answers with."""
        return ERRORS[self.code].http_status

    @property
    def remedy(self) -> str:
        """The remedy: that of the case that the message names, else that of the code."""
        info = ERRORS[self.code]
        cases = (remedy for words, remedy in info.cases.items() if words in self.message)
        return next(cases, info.remedy)

    def with_path_prefix(self, prefix: str) -> MMRawError:
        """The same error, with `prefix` before its path."""
        return MMRawError(self.code, self.message, prefix + self.path.removeprefix("$"))
