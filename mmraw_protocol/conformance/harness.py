"""The answering side: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from .._version import __version__
from ..families import families
from ..stores.convert import dialect_names
from ..wire.errors import MMRawError
from .operations import OPERATIONS

PROTOCOL_VERSION = 1


def implementation() -> dict[str, Any]:
    """What this implementation says of itself."""
    return {
        "name": "mmraw-protocol",
        "language": "python",
        "version": __version__,
        "dialects": list(dialect_names()),
        "families": list(families()),
        "ops": list(OPERATIONS),
    }


def answer(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer to one request; None for `stop`."""
    command = request.get("cmd")
    if command == "stop":
        return None
    if command == "start":
        return {"version": PROTOCOL_VERSION, "implementation": implementation()}
    seq = request.get("seq")
    operation = OPERATIONS.get(str(request.get("op"))) if command == "run" else None
    if operation is None:
        return {"seq": seq, "skipped": True, "message": "this operation is not known here"}
    given = request.get("input")
    try:
        if not isinstance(given, dict):
            raise MMRawError("invalid_type", "expected an object in input", "$")
        return {"seq": seq, "ok": True, "result": operation(cast("dict[str, Any]", given))}
    except MMRawError as error:
        refusal = {"code": error.code, "path": error.path, "message": error.message}
    return {"seq": seq, "ok": False, "error": refusal}


def serve(requests: BinaryIO, answers: BinaryIO) -> int:
    """Answers until `stop` or the end of `requests`; each answer is flushed at once."""
    for line in requests:
        if not line.strip():
            continue
        try:
            request: Any = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            reply: dict[str, Any] | None = {
                "seq": None,
                "ok": False,
                "error": {"code": "invalid_json", "path": "$", "message": "not a request"},
            }
        else:
            reply = answer(cast("dict[str, Any]", request))
        if reply is None:
            return 0
        answers.write(json.dumps(reply).encode("ascii") + b"\n")
        answers.flush()
    return 0
