"""A small honest implementation of two operations, and every way in which one can be wrong.

Called as `python faulty.py NAME`; NAME is a function below. Standard library only and no site
module, so that it starts in milliseconds. A hang is a process that reads on for ever.
"""

import base64
import json
import os
import sys
from typing import Any

ABOUT: dict[str, Any] = {
    "name": "faulty",
    "language": "python",
    "version": "1",
    "dialects": ["v3"],
    "families": [],
    "ops": ["check_raw_image_id", "parse_data_uri"],
}


def start(version: Any = 1, **changes: Any) -> dict[str, Any]:
    return {"version": version, "implementation": {**ABOUT, **changes}}


def honest(request: dict[str, Any]) -> dict[str, Any]:
    """The right answer."""
    given, seq = request["input"], request["seq"]
    if request["op"] == "parse_data_uri":
        data = base64.b64decode(given["data_uri"].partition(",")[2])
        return {"seq": seq, "ok": True, "result": {"byte_count": len(data)}}
    name = given["raw_image_id"]
    if not name.startswith("."):
        return {"seq": seq, "ok": True, "result": {"raw_image_id": name}}
    error = {"code": "invalid_raw_image_id", "path": "$", "message": "no leading ."}
    return {"seq": seq, "ok": False, "error": error}


def is_marked(request: dict[str, Any]) -> bool:
    """True if this is the one request at which most faults show."""
    return request["input"].get("raw_image_id") == "odd.png"


def read() -> dict[str, Any]:
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(9)
    return json.loads(line)


def hang() -> None:
    """Reads on for ever, also behind the end of its input."""
    while True:
        if not sys.stdin.buffer.read(65536):
            import signal

            signal.pause()


def put(value: Any) -> None:
    write(json.dumps(value).encode() + b"\n")


def write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def serve(reply: Any = honest, first: Any = None, code: int = 0) -> None:
    """Answers with what `reply` makes of a request: JSON, bytes as they are, None for nothing."""
    while True:
        request = read()
        if request["cmd"] == "stop":
            os._exit(code)
        answer = (first or start()) if request["cmd"] == "start" else reply(request)
        if isinstance(answer, bytes):
            write(answer)
        elif answer is not None:
            put(answer)


def marked(fault: Any) -> Any:
    """Honest, but for the marked request."""
    return lambda request: fault(request) if is_marked(request) else honest(request)


def stopping(fault: Any) -> None:
    """Honest until `stop`."""
    while (request := read())["cmd"] != "stop":
        put(start() if request["cmd"] == "start" else honest(request))
    fault()


def after_answers(count: int, fault: Any) -> None:
    """Honest for `count` answers of a life."""
    put(start()) if read()["cmd"] == "start" else None
    for _ in range(count):
        request = read()
        if request["cmd"] == "stop":
            os._exit(0)
        put(honest(request))
    if read()["cmd"] == "stop":
        os._exit(0)
    fault()


def swapped() -> None:
    """Reads two requests, then answers the second first."""
    put(start()) if read()["cmd"] == "start" else None
    while True:
        pair = [read(), read()]
        for request in reversed(pair):
            put(honest(request)) if request["cmd"] == "run" else os._exit(0)


def flood() -> None:
    put(start()) if read()["cmd"] == "start" else None
    while True:
        write(b"still here\n" * 1000)


def endless_line(_: Any) -> None:
    while True:
        write(b"x" * 65536)


def loud(request: dict[str, Any]) -> dict[str, Any]:
    sys.stderr.write("warning: " + "y" * 1_000_000)
    sys.stderr.flush()
    return honest(request)


def last_words(_: Any) -> None:
    sys.stderr.write("assertion failed: grid\n")
    sys.stderr.flush()
    os._exit(3)


def half_a_line(request: dict[str, Any]) -> None:
    write(json.dumps(honest(request)).encode()[:20])
    os._exit(0)


def accept(request: dict[str, Any]) -> dict[str, Any]:
    return {"seq": request["seq"], "ok": True, "result": {"raw_image_id": "x"}}


def refuse(request: dict[str, Any], code: str = "invalid_value") -> dict[str, Any]:
    error = {"code": code, "path": "$", "message": "no"}
    return {"seq": request["seq"], "ok": False, "error": error}


def skip(request: dict[str, Any]) -> dict[str, Any]:
    return {"seq": request["seq"], "skipped": True, "message": "not yet"}


def float_count(request: dict[str, Any]) -> dict[str, Any]:
    answer = honest(request)
    if "byte_count" in answer.get("result", {}):
        answer["result"]["byte_count"] = float(answer["result"]["byte_count"])
    return answer


def reworded(code: str) -> Any:
    return lambda request: honest(request) if honest(request)["ok"] else refuse(request, code)


def twice(request: dict[str, Any]) -> bytes:
    return (json.dumps(honest(request)) + "\n").encode() * 2


def shaped(**changes: Any) -> Any:
    return marked(lambda request: {**honest(request), **changes})


BEHAVIOURS: dict[str, Any] = {
    "honest": serve,
    "loud": lambda: serve(loud),
    # wrong, in step
    "accepts": lambda: serve(accept),
    "refuses": lambda: serve(refuse),
    "wrong_result": lambda: serve(marked(accept)),
    "float_for_int": lambda: serve(float_count),
    "other_codes": lambda: serve(reworded("invalid_type")),
    "skips": lambda: serve(skip),
    "skips_one": lambda: serve(marked(skip)),
    "lists_less": lambda: serve(first=start(ops=["parse_data_uri"])),
    # other shapes
    "extra_key": lambda: serve(shaped(note="hello")),
    "ok_is_one": lambda: serve(shaped(ok=1)),
    "result_is_text": lambda: serve(shaped(result="odd.png")),
    "error_is_text": lambda: serve(marked(lambda r: {"seq": r["seq"], "ok": False, "error": "no"})),
    "no_message": lambda: serve(marked(lambda r: {"seq": r["seq"], "skipped": True})),
    "is_a_list": lambda: serve(marked(lambda r: [honest(r)])),
    # out of step
    "wrong_seq": lambda: serve(shaped(seq=-1)),
    "seq_as_float": lambda: serve(marked(lambda r: {**honest(r), "seq": float(r["seq"])})),
    "rubbish": lambda: serve(marked(lambda _: b"Traceback (most recent call last):\n")),
    "not_utf8": lambda: serve(marked(lambda _: b'{"seq": "\xff"}\n')),
    "not_a_number": lambda: serve(marked(lambda _: b'{"seq": NaN}\n')),
    "deep": lambda: serve(marked(lambda _: b"[" * 500_000 + b"\n")),
    "prints_before": lambda: serve(
        marked(lambda r: b"loading\n" + json.dumps(honest(r)).encode() + b"\n")
    ),
    "twice": lambda: serve(twice),
    "swapped": swapped,
    "flood": flood,
    "endless_line": lambda: serve(marked(endless_line)),
    # missing answers
    "crashes": lambda: serve(marked(last_words)),
    "crashes_always": lambda: serve(last_words),
    "cut_off": lambda: serve(marked(half_a_line)),
    "closes_output": lambda: serve(marked(lambda _: os.close(1) or hang())),
    "hangs": lambda: serve(marked(lambda _: hang())),
    "says_nothing": lambda: serve(marked(lambda _: None)),
    "ends_early": lambda: after_answers(2, lambda: os._exit(0)),
    "late_at_third": lambda: after_answers(2, hang),
    # the beginning
    "version_two": lambda: serve(first=start(2)),
    "version_true": lambda: serve(first=start(True)),
    "version_text": lambda: serve(first=start("1")),
    "start_rubbish": lambda: serve(first=b"hello\n"),
    "start_shapeless": lambda: serve(first={"version": 1}),
    "start_unknown_op": lambda: serve(first=start(ops=["fly"])),
    "start_unknown_dialect": lambda: serve(first=start(dialects=["v9"])),
    "start_families": lambda: serve(first=start(families="qwen_vl")),
    "start_crash": lambda: last_words(None),
    "start_hang": hang,
    "changes": lambda: serve(marked(last_words), first=start(name=str(os.getpid()))),
    # the end
    "stop_four": lambda: serve(code=4),
    "stop_never": lambda: stopping(hang),
    "stop_talks": lambda: stopping(lambda: write(b"bye\n") or os._exit(0)),
}

if __name__ == "__main__":
    BEHAVIOURS[sys.argv[1]]()
