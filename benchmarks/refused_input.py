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
from mmraw_protocol.codec import encode_base64url

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
    """Values of that many bytes for which searches over the whole text do not decide."""
    numbers = ",".join(["1"] * (size // 2 - 30))
    keys = ",".join(f'"\\u00{n % 90 + 33:02x}{n:x}":1' for n in range(size // 13))
    return {
        "a broken end": "[" + ",".join(['{"a":1}'] * (size // 8 - 1)) + ",x]",
        "equal keys in many objects": "[" + ",".join(['{"a":1}'] * (size // 8)) + "]",
        "escaped keys": "{" + keys + "}",
        "a key twice and a long integer": f'[{numbers},9007199254740993,{{"a":1,"a":2}}]',
        "a broken end behind a long integer": f"[{numbers},1234567890123456,x]",
    }


def hard_ref(family: str, value: str) -> str:
    """A ref that is refused for a value beside its fields."""
    body = f'{{"family":"{family}",{HEAD},"payload":{{}},"x":{value}}}'
    return "mmraw:v3:" + encode_base64url(body.encode())


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
            seconds = best(lambda text=text: refuse(parse_ref, text), 30)
            ratio = seconds / best(lambda body=body: baseline(body), 30)
            worst = max(worst, (seconds, ratio))
        print(
            f"a refused ref of {SIZE} bytes, family {family}: worst {worst[0] * 1e6:.0f} us"
            f" (promised {bound}), {worst[1]:.1f} times json.loads on the same body"
        )
    for name, value in hard(SIZE * 3 // 4 - 300).items():
        text = hard_ref("qwen_vl", value)
        seconds = best(lambda text=text: refuse(parse_ref, text), 30)
        ratio = seconds / best(lambda value=value: baseline(value), 30)
        print(f"hard, {name}: {seconds * 1e6:.0f} us, {ratio:.1f} times json.loads")
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
