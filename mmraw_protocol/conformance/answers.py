"""Reading what an implementation under test answers, and judging it."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import msgspec

from ..stores.convert import dialect_names
from .operations import OPERATIONS
from .vectors import Vector, same

Status = Literal["passed", "failed", "skipped", "errored"]

#: Why a vector did not pass, by status, with what that means. Everything reported is one of these.
REASONS: dict[Status, dict[str, str]] = {
    "passed": {},
    "failed": {
        "wrong_result": "accepted, as it should be, but with another result",
        "wrongly_refused": "refused what is valid",
        "wrongly_accepted": "accepted what must be refused",
        "wrong_code": "refused, but with another error code (asked for by strict codes)",
        "wrong_path": "refused, but at another path (where a vector names one, by strict codes)",
    },
    "skipped": {
        "op_not_listed": "the start answer does not list the operation, so it was not asked",
        "skipped": "the implementation skipped it",
    },
    "errored": {
        "crashed": "the process ended instead of answering",
        "no_answer": "no answer within the time limit",
        "not_json": "the answer is no line of JSON in UTF-8",
        "too_long": "the answer is longer than any right one could be",
        "wrong_seq": "the answer carries the seq of another request",
        "wrong_shape": "the answer is JSON of another shape than the protocol's",
        "not_run": "never asked: the implementation had to be started too often",
    },
}

#: Faults of the run as a whole, which no single vector is to blame for.
FAULTS: dict[str, str] = {
    "ended_early": "ended by itself between requests, and answered when asked again",
    "late": "did not answer in time, but did when asked again in a fresh process",
    "out_of_step": "answered out of order, twice or rubbish, but not when asked one at a time",
    "bad_start": "could not be started again",
    "start_changed": "says something else of itself at each start",
    "extra_output": "wrote lines that nobody asked for",
    "bad_stop": "ended with another exit code than 0 on stop",
    "no_stop": "did not end on stop",
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of one vector; `reason` is one of `REASONS`, empty if the vector passed.

    `answer` is what was judged, where the options keep it.
    """

    id: str
    op: str
    status: Status
    reason: str = ""
    detail: str = ""
    answer: dict[str, Any] | None = None


class AnswerError(Exception):
    """A line that is no answer. `in_step`: the next line can still be the next answer."""

    def __init__(self, reason: str, detail: str, *, in_step: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.in_step = in_step


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def read_line(line: bytes) -> dict[str, Any]:
    """A line as a JSON object.

    Raises:
        AnswerError: not_json, wrong_shape.
    """
    try:
        value: Any = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise AnswerError("not_json", f"got {shown(line)}") from None
    if not isinstance(value, dict):
        raise AnswerError("wrong_shape", f"not an object: {shown(line)}")
    return cast("dict[str, Any]", value)


def read_answer(line: bytes, seq: int | str) -> dict[str, Any]:
    """The answer to the request `seq`, of one of the three shapes.

    Raises:
        AnswerError: not_json, wrong_seq, wrong_shape.
    """
    answer = read_line(line)
    got = answer.get("seq")
    if type(got) is not type(seq) or got != seq:
        raise AnswerError("wrong_seq", f"expected seq {seq!r}, got {shown(got)}")
    if not _is_shaped(answer):
        raise AnswerError("wrong_shape", f"got {shown(line)}", in_step=True)
    return answer


def _is_shaped(answer: dict[str, Any]) -> bool:
    keys = set(answer)
    if keys == {"seq", "ok", "result"}:
        return answer["ok"] is True and isinstance(answer["result"], dict)
    if keys == {"seq", "skipped", "message"}:
        return answer["skipped"] is True and isinstance(answer["message"], str)
    if keys != {"seq", "ok", "error"} or answer["ok"] is not False:
        return False
    error = answer["error"]
    return isinstance(error, dict) and _is_error(cast("dict[str, Any]", error))


def _is_error(error: dict[str, Any]) -> bool:
    texts = all(isinstance(value, str) for value in error.values())
    return set(error) == {"code", "path", "message"} and texts and bool(error["code"])


def read_start(line: bytes, version: int) -> dict[str, Any]:
    """Reads an implementation's answer to `start`.

    Raises:
        AnswerError: not_json, wrong_shape, wrong_version.
    """
    answer = read_line(line)
    got = answer.get("version")
    if type(got) is not int or got != version:
        raise AnswerError("wrong_version", f"asked for version {version}, got {shown(got)}")
    about = answer.get("implementation")
    if set(answer) != {"version", "implementation"} or not isinstance(about, dict):
        raise AnswerError("wrong_shape", f"got {shown(line)}")
    fields = cast("dict[str, Any]", about)
    texts, lists = {"name", "language", "version"}, {"dialects", "families", "ops"}
    if set(fields) != texts | lists:
        names = ", ".join(sorted(texts | lists))
        raise AnswerError("wrong_shape", f"implementation must have exactly {names}")
    for name in texts:
        if not isinstance(fields[name], str):
            raise AnswerError("wrong_shape", f"implementation.{name} must be a string")
    for name in lists:
        if not _is_names(fields[name]):
            raise AnswerError("wrong_shape", f"implementation.{name} must be a list of strings")
    for name, known in (("dialects", dialect_names()), ("ops", tuple(OPERATIONS))):
        unknown = [text for text in fields[name] if text not in known]
        if unknown:
            raise AnswerError("wrong_shape", f"unknown in implementation.{name}: {shown(unknown)}")
    return fields


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) for name in cast("list[Any]", value)
    )


def judge(vector: Vector, answer: dict[str, Any], *, strict_codes: bool = False) -> Outcome:
    """The outcome of a vector by a well-shaped answer."""
    if answer.get("skipped"):
        return outcome(vector, "skipped", "skipped", shown(answer["message"]))
    if vector.error is None:
        return _judge_result(vector, answer)
    wanted = vector.error["code"]
    if answer["ok"]:
        detail = f"expected a refusal ({wanted}), got {shown(answer['result'])}"
        return outcome(vector, "failed", "wrongly_accepted", detail)
    code, path = answer["error"]["code"], answer["error"]["path"]
    if code == wanted:
        place = vector.error.get("path", path)
        if place == path or not strict_codes:
            return outcome(vector, "passed")
        detail = f"{code} at {shown(path)}, expected at {shown(place)}"
        return outcome(vector, "failed", "wrong_path", detail)
    detail = f"code: expected {wanted}, got {shown(code)}"
    if strict_codes:
        return outcome(vector, "failed", "wrong_code", detail)
    return outcome(vector, "passed", detail=detail)


def _judge_result(vector: Vector, answer: dict[str, Any]) -> Outcome:
    if not answer["ok"]:
        error = answer["error"]
        text = f"{error['code']} at {error['path']}: {error['message']}"
        return outcome(vector, "failed", "wrongly_refused", shown(text))
    if same(answer["result"], vector.result):
        return outcome(vector, "passed")
    detail = difference(vector.result, answer["result"])
    return outcome(vector, "failed", "wrong_result", detail)


def outcome(vector: Vector, status: Status, reason: str = "", detail: str = "") -> Outcome:
    """The outcome of one vector."""
    return Outcome(id=vector.id, op=vector.op, status=status, reason=reason, detail=detail)


_ABSENT = object()


def difference(expected: Any, got: Any, path: str = "$") -> str:
    """The first place where two JSON values differ, with both values there."""
    if isinstance(expected, dict) and isinstance(got, dict):
        left, right = cast("dict[str, Any]", expected), cast("dict[str, Any]", got)
        for name in [*left, *(name for name in right if name not in left)]:
            pair = left.get(name, _ABSENT), right.get(name, _ABSENT)
            if _ABSENT in pair or not same(*pair):
                return difference(*pair, path=f"{path}.{shown(name, 40, quote=False)}")
    if isinstance(expected, list) and isinstance(got, list):
        first, second = cast("list[Any]", expected), cast("list[Any]", got)
        for index, pair in enumerate(zip(first, second, strict=False)):
            if not same(*pair):
                return difference(*pair, path=f"{path}[{index}]")
        if len(first) != len(second):
            return f"{path}: expected {len(first)} values, got {len(second)}"
    return f"{path}: expected {shown(expected)}, got {shown(got)}"


def shown(value: Any, most: int = 100, *, quote: bool = True) -> str:
    """A value of an implementation for reports: printable ASCII of at most `most` characters."""
    if value is _ABSENT:
        return "nothing"
    if isinstance(value, bytes):
        text = value[: most + 1].decode("utf-8", "replace")
    elif isinstance(value, str) and not quote:
        text = value
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    text = ascii(text[: most + 1])[1:-1]
    return text if len(text) <= most else text[: most - 3] + "..."
