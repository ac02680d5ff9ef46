"""The answering side: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, cast

from .._version import __version__
from ..families import families
from ..stores.convert import dialect_names
from ..wire.errors import MMRawError
from .operations import OPERATIONS

PROTOCOL_VERSION = 1


def implementation() -> dict[str, Any]:
    """This implementation, as the report of a run names it."""
    return {
        "name": "mmraw-protocol",
        "language": "python",
        "version": __version__,
        "dialects": list(dialect_names()),
        "families": list(families()),
        "ops": list(OPERATIONS),
    }


def answer(request: Any) -> dict[str, Any] | None:
    """The answer to one request; None for `stop`."""
    given = cast("dict[str, Any]", request if isinstance(request, dict) else {})
    command, seq = given.get("cmd"), given.get("seq")
    if command == "stop":
        return None
    if command == "start":
        return {"version": PROTOCOL_VERSION, "implementation": implementation()}
    operation = OPERATIONS.get(str(given.get("op"))) if command == "run" else None
    try:
        if given is not request:
            raise MMRawError("invalid_json", "expected a request")
        if operation is None:
            return {"seq": seq, "skipped": True, "message": "this operation is not known here"}
        if not isinstance(given.get("input"), dict):
            raise MMRawError("invalid_type", "expected an object in input")
        return {"seq": seq, "ok": True, "result": operation(given["input"])}
    except MMRawError as error:
        reason = {"code": error.code, "path": error.path, "message": error.message}
    return {"seq": seq, "ok": False, "error": reason}


def serve(requests: BinaryIO, answers: BinaryIO) -> int:
    """Answers until `stop` or the end of `requests`; each answer is flushed at once."""
    for line in filter(bytes.strip, requests):
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        reply = answer(request)
        if reply is None:
            return 0
        answers.write(json.dumps(reply).encode("ascii") + b"\n")
        answers.flush()
    return 0
