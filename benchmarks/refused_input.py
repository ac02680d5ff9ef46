"""What a refused input of 4 KiB costs, beside the standard library's JSON reader on the same text.

    python benchmarks/refused_input.py

Prints the worst refusal of each kind in microseconds, and the ratio to `json.loads` of its body
(base64 decoded before); and the time per megabyte of inputs up to ten million bytes.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from mmraw_protocol import MMRawError, parse_features, parse_item, parse_ref
from mmraw_protocol.wire.base64 import encode_base64url

SIZE = 4096
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
        "a key twice and a long integer": "["
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
    """Refs of a listed family that are refused for one of their fields, as JSON text."""
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
    """Refs of a listed family that are refused for a value beside their fields, or in one."""
    beside = {
        name: f'{{"family":"qwen_vl",{HEAD},"payload":{{}},"x":{value}}}'
        for name, value in hard(size).items()
    }
    return {**beside, **fields(size)}


def bodies(family: str, size: int) -> list[str]:
    """Objects of a ref that are refused."""
    room = size - 300
    refused = [f'{{"family":"{family}",{HEAD},"payload":{fill}}}' for fill in fills(room)]
    refused += [f'{{"family":"{family}",{HEAD},"payload":{{}},"x":{fill}}}' for fill in fills(room)]
    if family == "another":
        values = [f'{{"x":{fill},"pixel_values":1}}' for fill in fills(room)]
        refused += [f'{{"family":"{family}",{HEAD},"payload":{value}}}' for value in values]
    return refused


def best(work: Callable[[], Any], times: int) -> float:
    """The shortest of some runs, in seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def refuse(reader: Callable[[Any], Any], given: Any) -> None:
    """Reads it; the few that are accepted cost more than refusals do."""
    try:
        reader(given)
    except MMRawError:
        return


def baseline(body: str) -> None:
    """The standard library's reader; what it makes of the text does not matter."""
    try:
        json.loads(base64.urlsafe_b64decode(base64.urlsafe_b64encode(body.encode())))
    except (ValueError, RecursionError):
        return


def main() -> None:
    """Prints the table."""
    for family, bound in (("qwen_vl", 50), ("another", 500)):
        worst = (0.0, 0.0)
        for body in bodies(family, SIZE * 3 // 4):
            text = "mmraw:v3:" + encode_base64url(body.encode())
            seconds = best(lambda text=text: refuse(parse_ref, text), 300)
            ratio = seconds / best(lambda body=body: baseline(body), 300)
            worst = max(worst, (seconds, ratio))
        print(
            f"a refused ref of {SIZE} bytes, family {family}: worst {worst[0] * 1e6:.0f} us"
            f" (promised {bound}), {worst[1]:.1f} times json.loads on the same body"
        )
    found: list[tuple[float, float, str]] = []
    for name, body in hard_bodies(SIZE * 3 // 4 - 350).items():
        text = "mmraw:v3:" + encode_base64url(body.encode("utf-8", "surrogatepass"))
        seconds = best(lambda text=text: refuse(parse_ref, text), 300)
        ratio = seconds / best(lambda body=body: baseline(body), 300)
        found.append((seconds, ratio, name))
    for seconds, ratio, name in sorted(found, reverse=True):
        print(f"{name}: {seconds * 1e6:.0f} us, {ratio:.1f} times json.loads")
    for name, reader in (("envelope", parse_item), ("features", parse_features)):
        times = [
            max(best(lambda f=f, r=reader: refuse(r, f), 3) for f in fills(size))
            for size in (10**6, 10**7)
        ]
        print(
            f"{name}: worst refusal of 10^6 bytes {times[0] * 1e3:.1f} ms, of 10^7"
            f" {times[1] * 1e3:.1f} ms, {times[1] / times[0]:.1f} times as long (linear: 10)"
        )


if __name__ == "__main__":
    main()
