"""The figures of the table, each with its baseline in the same run."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pybase64

from mmraw_protocol import (
    MultiModalData,
    build_features,
    format_ref,
    get_adapter,
    open_store,
    parse_features,
    parse_ref,
    verify_ref,
)
from mmraw_protocol.families.kimi_k25 import kimi_content
from mmraw_protocol.families.qwen_vl import qwen_grid
from mmraw_protocol.images import ImageSource
from mmraw_protocol.wire._generated import types
from mmraw_protocol.wire._generated.dialects import DEFAULT_DIALECT, DIALECTS
from mmraw_protocol.wire.base64 import encode_base64url

from . import baseline, files, material, refused_input
from .measure import Timing, Work, interleaved, processes, python


class Figure(NamedTuple):
    """One line of the table; `value` reaches `target` from below where `at_most`."""

    work: str
    baseline: str
    value: float
    target: float
    at_most: bool
    unit: str
    seconds: float
    spread: tuple[float, float]
    stretch: float | None = None

    @property
    def reached(self) -> bool:
        return self.value <= self.target if self.at_most else self.value >= self.target


def each(work: Callable[[Any], object], inputs: Sequence[Any]) -> Work:
    """One call that does `work` on all inputs."""

    def run() -> None:
        for value in inputs:
            work(value)

    return run


def faster(
    work: str, ours: Work, theirs: Work, target: float, rounds: int, stretch: float, calls: int = 1
) -> Figure:
    """The speed as a multiple of the standard library's."""
    timing = interleaved({"ours": ours, "theirs": theirs}, rounds)
    return Figure(
        work,
        "standard library",
        timing.ratio("theirs", "ours"),
        target,
        False,
        "x faster",
        timing.median("ours") / calls,
        timing.spread("theirs", "ours"),
        stretch,
    )


def slower(
    work: str, floor: str, timing: Timing, target: float, stretch: float | None = None
) -> Figure:
    """The time as a multiple of a floor's."""
    return Figure(
        work,
        floor,
        timing.ratio("ours", "floor"),
        target,
        True,
        "x the floor",
        timing.median("ours"),
        timing.spread("ours", "floor"),
        stretch,
    )


def within(work: str, baseline_name: str, timing: Timing, target: float, calls: int) -> Figure:
    """Microseconds of one call; the baseline's name says how many times it takes."""
    micro = timing.median("ours") / calls * 1e6
    times = timing.ratio("ours", "floor")
    low, high = (1e6 * value for value in quartiles(timing.samples["ours"], calls))
    return Figure(
        work,
        f"{baseline_name} (x {times:.1f})",
        micro,
        target,
        True,
        "us",
        micro / 1e6,
        (low, high),
    )


def quartiles(samples: list[float], calls: int) -> tuple[float, float]:
    rows = sorted(value / calls for value in samples)
    return rows[len(rows) // 4], rows[3 * len(rows) // 4]


def ref_floor(texts: Sequence[str]) -> Work:
    """The work that no reader of v3 refs avoids: base64, and a typed decode without patterns."""
    start = len(DIALECTS[DEFAULT_DIALECT].prefix)
    decode = msgspec.json.Decoder(types.RefV3).decode
    padded = [text[start:] + "=" * (-(len(text) - start) % 4) for text in texts]
    return each(lambda body: decode(pybase64.b64decode(body, None, True)), padded)


def refs(rounds: int) -> Iterator[Figure]:
    """Small refs, read and written, against what cannot be avoided."""
    count = 200
    typed = [material.stored_ref(number, digits=64) for number in range(count)]
    short = [material.stored_ref(number, digits=16) for number in range(count)]
    texts = [format_ref(ref) for ref in typed]
    floor = ref_floor(texts)
    kinds = {
        f"parse a v3 ref ({sum(map(len, texts)) // count} characters)": (texts, 3.0, 2.5),
        "parse a v3 ref with a 16-digit name": ([format_ref(ref) for ref in short], 3.0, None),
        "parse a v3 ref with a file: label": ([*map(material.labelled, typed)], 3.5, None),
        "parse a v2 ref": ([format_ref(ref, "v2") for ref in typed], 3.5, None),
    }
    for work, (given, target, stretch) in kinds.items():
        timing = interleaved({"ours": each(parse_ref, given), "floor": floor}, rounds)
        yield slower(work, "base64 + typed decode", per(timing, count), target, stretch)
    encode = msgspec.json.Encoder().encode
    structs = [msgspec.json.decode(encode(ref), type=types.RefV3) for ref in typed]
    timing = interleaved(
        {
            "ours": each(format_ref, typed),
            "floor": each(lambda value: pybase64.b64encode_as_string(encode(value)), structs),
        },
        rounds,
    )
    yield slower("format a v3 ref", "typed encode + base64", per(timing, count), 3.0)


def per(timing: Timing, calls: int) -> Timing:
    """The same for one of several calls."""
    return Timing({name: [s / calls for s in rows] for name, rows in timing.samples.items()})


def inline(rounds: int) -> Iterator[Figure]:
    """Refs that carry their image."""
    # The larger one first, as in a process that has read some images: the allocator then keeps
    # what strings of that size leave (glibc raises its thresholds when one is freed).
    for size in (5_000_000, 500_000):
        data = material.noise(size)
        ref = material.inline_ref(data)
        text = format_ref(ref)
        timing = interleaved(
            {
                "kept": lambda text=text: verify_ref(text),
                "ours": lambda text=text: verify_ref(text, keep_uri=False),
                "floor": lambda data=data: hashlib.sha256(data).hexdigest(),
            },
            rounds,
        )
        # By itself: it frees ten times as much memory, which the allocator then gives back.
        theirs = interleaved(
            {
                "floor": lambda data=data: hashlib.sha256(data).hexdigest(),
                "theirs": lambda text=text: _baseline_verify(text),
            },
            max(2, rounds // 5),
        )
        times = theirs.ratio("theirs", "floor")
        name = f"sha256 of the bytes (standard library: x {times:.0f})"
        work = f"parse and verify an inline image, {size:,} bytes"
        yield slower(f"{work}, the verdict alone", name, timing, 1.5)
        timing = Timing({"ours": timing.samples["kept"], "floor": timing.samples["floor"]})
        yield slower(f"{work}, its text kept", name, timing, 2.0)
    ref = material.inline_ref(material.noise(5_000_000))
    plain = baseline.parse_v3(format_ref(ref))
    yield faster(
        "format an inline image, 5,000,000 bytes",
        lambda: format_ref(ref), lambda: baseline.format_v3(plain), 8, rounds, 8,
    )  # fmt: skip


def _baseline_verify(text: str) -> str:
    ref = baseline.parse_v3(text)
    return baseline.verify(ref, baseline.inline_bytes(ref.raw_uri or ""))


def pictures() -> dict[str, bytes]:
    """A photograph-like JPEG and PNG of 640x480."""
    from PIL import Image

    noise = Image.effect_noise((640, 480), 40).convert("RGB")
    result: dict[str, bytes] = {}
    for kind in ("JPEG", "PNG"):
        buffer = io.BytesIO()
        noise.save(buffer, format=kind)
        result[kind] = buffer.getvalue()
    return result


def images(rounds: int) -> Iterator[Figure]:
    """Descriptions without the hash, and layouts."""
    from PIL import Image

    adapter, kimi = get_adapter("qwen_vl"), get_adapter("kimi_k25")

    def describe(data: bytes) -> None:
        source = ImageSource.open(data)
        source.__dict__["sha256"] = "0" * 64
        adapter.describe(source)

    for kind, data in pictures().items():
        timing = interleaved(
            {
                "ours": lambda data=data: describe(data),
                "floor": lambda data=data, kind=kind: Image.open(
                    io.BytesIO(data), formats=(kind,)
                ).close(),
            },
            rounds,
        )
        yield within(f"describe a {kind} (header; sha256 apart)", "Image.open", timing, 30, 1)
    sizes = [(w, h) for w in (640, 1920, 4032) for h in (480, 1080, 3024)]
    for name, who, arithmetic, target in (
        ("Qwen-VL", adapter, qwen_grid, 1.5),
        ("Kimi K2.5", kimi, _kimi_grid, 3.0),
    ):
        timing = interleaved(
            {
                "ours": each(lambda size, who=who: who.layout(*size), sizes),
                "floor": each(lambda size, f=arithmetic: f(*size), sizes),
            },
            rounds,
        )
        yield within(f"layout of a size, {name}", "the bare arithmetic", timing, target, len(sizes))


def _kimi_grid(width: int, height: int) -> tuple[int, int]:
    """(h, w) in patches by the published layout parameters."""
    high, wide = kimi_content(width, height, 14, 16384, 512)
    return -(-high // 28) * 2, -(-wide // 28) * 2


def features(rounds: int) -> Iterator[Figure]:
    """Bodies of 1,000 images, for each image against what one ref cannot avoid."""
    count = 1000
    typed = MultiModalData.from_dict(material.items(count))
    body = build_features(typed, run_id=material.RUN)
    text = msgspec.json.encode(body).decode()
    floor = ref_floor(body["kwargs_data"]["image"])
    works = {
        "build features, 1,000 images": (lambda: build_features(typed, run_id=material.RUN), 3.0),
        "parse features, 1,000 images": (lambda: parse_features(body), 4.0),
        "parse features, 1,000 images, from text": (lambda: parse_features(text), 8.0),
    }
    for work, (ours, target) in works.items():
        timing = interleaved({"ours": ours, "floor": floor}, max(2, rounds // 2))
        yield slower(f"{work}, an image", "the floor of one ref", per(timing, count), target)


def rejections(rounds: int) -> Iterator[Figure]:
    """Texts that are rejected: the kind that comes nearest to its bound, for each size."""
    for size in (4096, 1_000_000):
        share, seconds, name, _ = refused_input.shares(size, 0.002 * rounds)[0]
        yield Figure(
            f"reject {size:,} bytes, the worst kind ({name})",
            "4 x json.loads + 50 us",
            share,
            1.0,
            True,
            "of the bound",
            seconds,
            (share, share),
        )


def store(rounds: int) -> Iterator[Figure]:
    """New images put into the local store."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours"), Path(folder, "theirs")
        theirs.mkdir()
        local = open_store(ours, durable=False)
        data = material.noise(500_000)
        numbers = iter(range(1_000_000))

        def fresh() -> bytes:
            return next(numbers).to_bytes(8, "big") + data

        def put() -> None:
            local.delete(local.put(fresh()))

        def write() -> None:
            content = fresh()
            path = theirs / hashlib.sha256(content).hexdigest()
            path.write_bytes(content)
            path.unlink()

        timing = interleaved({"ours": put, "floor": write}, rounds)
    yield slower("put 500,000 bytes, durable=False", "write + sha256", timing, 1.3)


def imports(rounds: int) -> Iterator[Figure]:
    """The time of a whole interpreter less that of a bare one."""
    commands = {
        "bare": python("pass"),
        "floor": python("import msgspec"),
        "ours": python("import mmraw_protocol"),
    }
    found = processes(commands, rounds)
    bare = found.samples["bare"]
    net = {
        name: [max(whole - start, 1e-4) for whole, start in zip(samples, bare, strict=True)]
        for name, samples in found.samples.items()
        if name != "bare"
    }
    yield slower("import mmraw_protocol", "import msgspec", Timing(net), 2.0)


def lines(rounds: int) -> Iterator[Figure]:
    """Files of refs, as whole processes."""
    count = 300_000  # so that the start of a process counts little
    for command, timing in files.against_the_standard_library(max(2, rounds // 6), count):
        yield Figure(
            f"{command} {count:,} lines, one process",
            "standard library",
            timing.ratio("theirs", "ours"),
            3,
            False,
            "x faster",
            timing.median("ours"),
            timing.spread("theirs", "ours"),
        )


def shared(results: dict[str, files.Shared], megabytes: float) -> Iterator[Figure]:
    """Two processes against one, by the clock."""
    for command, result in results.items():
        timing = Timing({str(number): samples for number, samples in result.clock.items()})
        work = Timing({str(number): samples for number, samples in result.processor.items()})
        more = work.ratio("2", "1")
        yield Figure(
            f"{command} {megabytes:g} MB on two processes, by the clock",
            f"one process (processor time in all: x {more:.2f})",
            timing.ratio("1", "2"),
            1.7,
            False,
            "x faster",
            timing.median("2"),
            timing.spread("1", "2"),
        )


def floors(rounds: int) -> dict[str, float]:
    """The machine's own speed, in seconds."""
    text = material.texts(1)[0]
    ref = material.stored_ref(0)
    document = msgspec.json.encode(ref)
    data = material.noise(5_000_000)
    decode = msgspec.json.Decoder().decode
    timing = interleaved(
        {
            "msgspec decodes the JSON of a v3 ref, untyped": lambda: decode(document),
            "base64url of the same JSON": lambda: encode_base64url(document),
            "sha256 of 5,000,000 bytes": lambda: hashlib.sha256(data).digest(),
            "memcpy of 5,000,000 bytes": lambda: bytearray(data),
            "an empty Python call": lambda: None,
            "str.startswith": lambda: text.startswith("mmraw:v3:"),
        },
        rounds,
    )
    return {name: timing.median(name) for name in timing.samples}


GROUPS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "refs": refs,
    "inline": inline,
    "images": images,
    "features": features,
    "rejections": rejections,
    "store": store,
    "imports": imports,
    "lines": lines,
}

assert os.name == "posix", "processor time of other processes is asked from the system"
