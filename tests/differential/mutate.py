"""Changes that readers are known to disagree on: in characters, in values, in spellings of JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, cast

SAFE = 2**53 - 1
ALPHABET = (
    'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:=+/ \n\r\t\x00\x7f{}[]",\\'
    "\u00e9\u0430\u2028\ufeff\uffff\U0001f600\ud800"
)
#: Values that sit on the edge of some rule.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 1.0, 2.0, -0.0, 0.5, 1e16, 1e-7, 5e-324,
    1.7976931348623157e308, SAFE, SAFE + 1, -SAFE, -SAFE - 1, 2**64, 10**30, 1048576, 1048577, "",
    "0", "1", "run_", "run_x", "run_run_x", ".", "..", "...", "-a", ".a", "a.", "a" * 128,
    "a" * 129, "b" * 255, "b" * 256, "con", "CON.png", "nul", "com1.x", "com0", "COM10", "lpt9.",
    "a b", "a\n", "a/b", "a%2fb", "\u00e9", "\u0130", "\ud800", "\U0001f600", "image",
    "vision_chunk", "video", "audio", "video/mp4", "qwen_vl", "kimi_k25", "QWEN_VL", "other",
    "raw_image",
    "prime_raw_mm_item", "v1", "v2", "v3", "unversioned-uri", "__proto__", "constructor",
    "toString", "hasOwnProperty", "f" * 16, "f" * 15, "F" * 16, "f" * 64, "f" * 65, "0" * 128,
    "0" * 129, "data:image/png;base64,", "data:image/png;base64,QQ==",
    "data:image/png;base64,QR==", "data:image/png;base64,QQ", "data:image/PNG;base64,QQ==",
    "data:image/jpg;base64,QUJD", "data:image/svg+xml;base64,QUJD", "data:text/html;base64,QUJD",
    "data:image/png,QUJD", "data:image/gif;charset=x;base64,QUJD", "DATA:image/png;base64,QUJD",
    "data:image/webp;base64,-_-_", "file:///a.png", "file:///x/a.png", "file://localhost/a.png",
    "file://host/a.png", "file:/a.png", "file:///a.png?q", "file:///a%20b/a.png", "file:///",
    "http://x/a.png", "https://x/a.png", "/a.png", [], [[]], [1], [1, 2, 2], [[1, 2, 2]],
    [[1, 2, 3]], [[1, 2.0, 2]], [[0, 2, 2]], [[1, 2, 2], [1, 2, 2]], [[1, 1024, 1024]],
    [[1, 1024, 1026]], [["1", "2", "2"]], [[True, 2, 2]], [[1, 2, SAFE + 1]], {}, {"": 0},
    {"pixel_values": 1}, {"a": {"image_embeds": []}}, {"image_features": None},
    {"image_grid_thw": [[1, 4, 4]]}, {"grid_thws": [[1, 4, 4]]},
    {"grid_thws": [[1, 4, 4]], "num_media_tokens": 4},
    {"grid_thws": [[1, 4, 4]], "num_media_tokens": 0},
    {"grid_thws": [[1, 4, 4]], "num_media_tokens": 1.0}, {"__proto__": 1},
    [0] * 40, [0] * 70, [[] for _ in range(70)], {"a": [{"b": 1} for _ in range(70)]},
    {"pixel_values": [0] * 70},
    ["pixel_values"] * 70, ['"pixel_values":'] * 70,
    {"10": 1, "9": 2, "a": 3}, {"\U0001f600": 1, "\uffff": 2}, {"url": "x"}, {"url": None},
]  # fmt: skip
#: Keys that some definition has, and some that none has.
KEYS = [
    "family", "fingerprint", "layout_fingerprint", "modality", "mm_hash", "payload",
    "raw_image_id", "raw_uri", "raw_image_uri", "raw_image_data", "run_id", "grid_thw", "version",
    "kind", "vllm_modality", "raw_ref", "_prime_rl_image_ref", "image_grid_thw", "grid_thws",
    "num_media_tokens", "offset", "length", "mm_hashes", "mm_placeholders", "mm_items",
    "kwargs_data", "image", "vision_chunk", "video", "audio", "video_url", "mime_type",
    "image_url", "url", "path", "type", "text", "extra",
    "", "0", "__proto__", "constructor", "pixel_values", "patch_size", "merge_size", "min_pixels",
    "max_pixels", "size", "shortest_edge", "longest_edge", "media_proc_cfg",
]  # fmt: skip


def text(rng: random.Random, value: str) -> str:
    """One to three characters changed, added or taken away, or a stretch moved."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(value) + 1)
        kind = rng.randrange(7)
        char = rng.choice(ALPHABET)
        if kind <= 1:
            value = value[:at] + char + value[at + 1 :]
        elif kind == 2:
            value = value[:at] + char + value[at:]
        elif kind == 3:
            value = value[:at] + value[at + 1 :]
        elif kind == 4:
            value = value[:at]
        elif kind == 5:
            value = value[: at + 8] + value[at:]
        else:
            value = value[:at] + value[at : at + 1].swapcase() + value[at + 1 :]
    return value


def _containers(value: Any) -> list[Any]:
    found: list[Any] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, (dict, list)) and len(found) < 200:
            found.append(item)
            stack.extend(cast("dict[Any, Any]", item).values() if isinstance(item, dict) else item)
    return found


def value(rng: random.Random, document: Any) -> Any:
    """One or two values, keys or rows changed, anywhere in a copy of `document`."""
    result = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2))):
        containers = _containers(result)
        if not containers:
            return rng.choice(HOSTILE)
        _change(rng, rng.choice(containers))
    return result


def _change(rng: random.Random, container: Any) -> None:
    keys: list[Any] = (
        list(container) if isinstance(container, dict) else list(range(len(container)))
    )
    kind = rng.randrange(10)
    if not keys or kind == 0:
        _add(rng, container)
        return
    key = rng.choice(keys)
    if kind <= 4:
        container[key] = copy.deepcopy(rng.choice(HOSTILE))
    elif kind <= 6:
        container[key] = _near(rng, container[key])
    elif kind == 7:
        del container[key]
    elif isinstance(container, dict):
        fields = cast("dict[str, Any]", container)
        moved = fields.pop(key)
        fields[rng.choice(KEYS) if kind == 8 else text(rng, key)] = moved
    else:
        container.insert(key, copy.deepcopy(container[key]))


def _add(rng: random.Random, container: Any) -> None:
    added = copy.deepcopy(rng.choice(HOSTILE))
    if isinstance(container, dict):
        cast("dict[str, Any]", container)[rng.choice(KEYS)] = added
    else:
        container.append(added)


def _near(rng: random.Random, item: Any) -> Any:
    if isinstance(item, str):
        return text(rng, item)
    if isinstance(item, bool) or item is None:
        return rng.choice((0, 1, "", "null", False, True, None))
    if isinstance(item, int):
        return rng.choice(
            (item + 1, item - 1, float(item) if abs(item) < SAFE else 0.5, str(item), -item)
        )
    if isinstance(item, float):
        return (
            rng.choice((item + 1, item * 2, -item, 1 / 3, repr(item)))
            if abs(item) < 1e300
            else 0.25
        )
    return [item]


def spelling(rng: random.Random, document: Any) -> str:
    """JSON text of `document` as some writer might spell it, and sometimes as none may."""
    made = _spell(rng, document, rng.choice((0.0, 0.05, 0.3)))
    kind = rng.randrange(12)
    if kind == 0:
        made = text(rng, made)
    elif kind == 1:
        made = rng.choice(("\ufeff", " ", "\n\t", "\u00a0", "\x0c", "//\n", "")) + made
    elif kind == 2:
        made += rng.choice((" ", "\n", "\x00", "{}", ",", "\u2028", "null"))
    return made


def _spell(rng: random.Random, item: Any, odd: float) -> str:
    blank = rng.choice(("", " ", "\n", "\t\r")) if rng.random() < odd else ""
    if isinstance(item, dict):
        rows = list(cast("dict[str, Any]", item).items())
        if rng.random() < odd:
            rng.shuffle(rows)
        if rows and rng.random() < odd / 4:
            rows.insert(rng.randrange(len(rows)), rng.choice(rows))
        inner = f",{blank}".join(
            f"{_quoted(rng, key, odd)}{blank}:{blank}{_spell(rng, child, odd)}"
            for key, child in rows
        )
        return f"{{{blank}{inner}{blank}}}"
    if isinstance(item, (list, tuple)):
        rows = cast("list[Any]", item)
        return f"[{blank}{f',{blank}'.join(_spell(rng, row, odd) for row in rows)}{blank}]"
    if isinstance(item, str):
        return _quoted(rng, item, odd)
    return _number(rng, item, odd)


def _quoted(rng: random.Random, item: str, odd: float) -> str:
    if rng.random() >= odd:
        return json.dumps(item, ensure_ascii=rng.random() < 0.8)
    return '"' + "".join(_escaped(rng, char) for char in item) + '"'


def _escaped(rng: random.Random, char: str) -> str:
    if rng.random() < 0.7 and ord(char) < 0x10000:
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        return "\\/" if char == "/" and rng.random() < 0.5 else plain
    units = char.encode("utf-16-be", "surrogatepass")
    words = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    return "".join(f"\\u{word.upper() if rng.random() < 0.5 else word}" for word in words)


def _number(rng: random.Random, item: Any, odd: float) -> str:
    if item is None or isinstance(item, bool) or rng.random() >= odd:
        return json.dumps(item)
    plain = json.dumps(item)
    kept = [
        f"{plain}.0",
        f"{plain}e0",
        f"{plain}E+1",
        f"-{plain}",
        f"{plain}0000000",
        "-0",
        "0.1e-400",
    ]
    broken = [f"0{plain}", f"+{plain}", "1.", ".5", "0x1", "NaN", "-Infinity", "1e999", "1E400"]
    return rng.choice([*kept, *broken, "9007199254740993"])
