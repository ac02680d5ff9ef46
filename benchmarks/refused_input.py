"""Measures the cost of a rejected input against the standard library's JSON reader.

    python -m benchmarks.refused_input [--largest BYTES]

A rejection may take 4 x json.loads of the same text plus 50 us. The text is the JSON of a ref, an
envelope or a features body; where it is no JSON, json.loads reads a string literal of its length.
The table gives, for each size, the kinds that come nearest to that bound: 1.0 is the bound itself.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from mmraw_protocol import MMRawError, parse_features, parse_item, parse_ref
from mmraw_protocol.wire.base64 import encode_base64url

SIZES = (4096, 100_000, 1_000_000, 10_000_000)
#: The bounds of a rejection: a multiple of json.loads, and seconds.
TIMES, BESIDE = 4, 50e-6
HEAD = (
    '"fingerprint":"0123456789abcdef0123456789abcdef","mm_hash":"a3d1065af15153d19fd7e89a9eabbf52",'
    '"modality":"image","raw_image_id":"a.png","run_id":"r"'
)


def fills(size: int) -> list[str]:
    """JSON values of that many bytes, each of another kind."""
    return [
        "[" + ",".join(["[]"] * (size // 3)) + "]",
        "[" + ",".join(["1"] * (size // 2)) + "]",
        "{" + ",".join(f'"{n:x}":1' for n in range(size // 8)) + "}",
        '"' + "s" * size + '"',
        '"' + "\\u00e9" * (size // 6) + '"',
        "[" * (size // 2) + "]" * (size // 2),
        "1" * size,
    ]


def hard(size: int) -> dict[str, str]:
    """Values of that many bytes, each made to be slow for some reader."""

    def string(part: str) -> str:
        return '"' + part * (size // len(part)) + '"'

    def array(part: str, separator: str = ",") -> str:
        return "[" + separator.join([part] * (size // (len(part) + 1))) + "]"

    keys = ",".join(f'"\\u00{n % 90 + 33:02x}{n:x}":1' for n in range(size // 13))
    return {
        "a broken end": array('{"a":1}')[:-1] + ",x]",
        "a broken end behind a long integer": "[1234567890123456," + array("1")[1:-1] + ",x]",
        "a broken end behind surrogates": string("\\ud83d") + "x",
        "surrogates": string("\\ud83d"),
        "equal keys in many objects": array('{"a":1}'),
        "two keys in many objects": array('{"a":1,"b":1}'),
        "empty strings": array('""'),
        "escaped keys": "{" + keys + "}",
        "a duplicate key and a long integer": "["
        + array("1")[1:-6]
        + ',9007199254740993,{"a":1,"a":2}]',
        "long fractions": "[" + ",".join(["0." + "1" * (size // 40 - 3)] * 40) + "]",
        "small numbers": "[" + ",".join(["0." + "1" * (size // 40 - 8) + "e-300"] * 40) + "]",
        "one long fraction": "0." + "1" * size,
        "one long integer": "1" * size,
        "backslashes": string("\\\\"),
        "quotes and brackets": string('[\\"'),
        "brackets in a string": string("["),
        "commas in a string": string(","),
        "blanks": "1" + " " * size,
        "levels": "[" * 300 + "]" * 300,
        "names of processed tensors": array('"pixel_values"'),
        "processed tensors": '{"pixel_values":' + array("0.5") + "}",
    }


def fields(size: int) -> dict[str, str]:
    """Refs of a built-in family that are refused for one of their fields, as JSON text."""
    body = f'{{"family":"qwen_vl",{HEAD},"payload":{{"image_grid_thw":[[1,2,2]]}}}}'

    def changed(name: str, value: str) -> str:
        return body.replace('"run_id":"r"', f'"run_id":"r","{name}":{value}')

    long = '"' + "a" * size + '"'
    return {
        "a long run_id": body.replace('"r"', long),
        "a long raw_image_id": body.replace('"a.png"', long),
        "a long mm_hash": body.replace('"a3d1065af15153d19fd7e89a9eabbf52"', long),
        "a run_id again and again": body[:-1] + ',"run_id":"r"' * 50 + "}",
        "an escaped run_id again and again": body[:-1] + ',"run_i\\u0064":"r"' * 50 + "}",
        "a long number in the grid": body.replace("[1,2,2]", "[1,2," + "2" * size + "]"),
        "a label of many folders": changed("raw_uri", '"file:///' + "a/" * (size // 2) + 'b.png"'),
        "an escaped label": changed("raw_uri", '"file:///' + "%41" * (size // 3) + 'b.png"'),
        "an image that is no base64": changed(
            "raw_uri", '"data:image/png;base64,' + "A" * size + '!"'
        ),
    }


def hard_bodies(size: int) -> dict[str, str]:
    """Refs of a built-in family that are refused for a value beside their fields, or in one."""
    beside = {
        name: f'{{"family":"qwen_vl",{HEAD},"payload":{{}},"x":{value}}}'
        for name, value in hard(size).items()
    }
    return {**beside, **fields(size)}


def documents(size: int) -> dict[str, tuple[Callable[[Any], Any], str, str]]:
    """name -> (reader, what it is given, the JSON text in it); all are rejected but a few."""
    found: dict[str, tuple[Callable[[Any], Any], str, str]] = {}

    def ref(name: str, body: str) -> None:
        text = "mmraw:v3:" + encode_base64url(body.encode("utf-8", "surrogatepass"))
        found[f"ref, {name}"] = (parse_ref, text, body)

    for name, body in hard_bodies(size).items():
        ref(name, body)
    for number, fill in enumerate(fills(size)):
        for family in ("qwen_vl", "another"):
            ref(f"{family} fill {number}", f'{{"family":"{family}",{HEAD},"payload":{fill}}}')
            beside = f'{{"family":"{family}",{HEAD},"payload":{{}},"x":{fill}}}'
            ref(f"{family} fill {number} beside", beside)
        value = f'{{"x":{fill},"pixel_values":1}}'
        ref(f"tensors behind fill {number}", f'{{"family":"another",{HEAD},"payload":{value}}}')
        found[f"envelope, fill {number}"] = (parse_item, fill, fill)
        found[f"features, fill {number}"] = (parse_features, fill, fill)
    for name, value in hard(size).items():
        found[f"envelope, {name}"] = (parse_item, value, value)
        found[f"features, {name}"] = (parse_features, value, value)
    for name, text in {
        "base64 with a fault at its end": "mmraw:v3:" + "A" * size + "*",
        "base64 with a stray bit": "mmraw:v3:" + "A" * (size // 4 * 4 + 1) + "B",
        "colons": "mmraw:v2:" + ":" * size,
        "another tag": "mmraw:v9:" + "A" * size,
        "a letter beyond ASCII": "mmraw:v3:" + "A" * size + "\u00e9",
    }.items():
        found[name] = (parse_ref, text, text)
    return found


def best(work: Callable[[], Any], seconds: float) -> float:
    """The shortest of the runs that fit into some seconds."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 3 or (time.perf_counter() < end and len(found) < 300):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def rejected(reader: Callable[[Any], Any], given: Any) -> str | None:
    """The code, or None for the few that are accepted."""
    try:
        reader(given)
    except MMRawError as error:
        return error.code
    return None


def floor(body: str) -> Callable[[], Any]:
    """json.loads of a text, or of a string literal of its length where it is no JSON."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        body = '"' + "a" * len(body) + '"'
    return lambda: json.loads(body)


def shares(size: int, seconds: float) -> list[tuple[float, float, str, str]]:
    """(share of the bound, seconds, kind, code), the worst first."""
    rows: list[tuple[float, float, str, str]] = []
    for name, (reader, given, body) in documents(size - 350).items():
        code = rejected(reader, given)
        if code is not None:
            ours = best(lambda r=reader, g=given: rejected(r, g), seconds)
            bound = TIMES * best(floor(body), seconds) + BESIDE
            rows.append((ours / bound, ours, name, code))
    return sorted(rows, reverse=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--seconds", type=float, default=0.05, help="for each measurement")
    args = parser.parse_args()
    for size in (size for size in SIZES if size <= args.largest):
        rows = shares(size, args.seconds)
        print(f"{size:,} bytes: {len(rows)} kinds, {sum(r[0] > 1 for r in rows)} beyond the bound")
        for share, seconds, name, code in rows[:6]:
            print(f"  {share:5.2f} of the bound, {seconds * 1e6:10.0f} us  {name} ({code})")


if __name__ == "__main__":
    main()
