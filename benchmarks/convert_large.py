"""Rate and peak memory of `mmraw convert` (or `validate`) on a large JSON-lines file of refs.

    python -m benchmarks.convert_large                     # 1 GB, one process and two
    python -m benchmarks.convert_large --megabytes 100 --shape document

The file is made in a temporary folder: each line (or, as one `document`, each element of one
array) holds a record with a small v2 ref; refs go to v3. The memory is that of the largest process
as the operating system counts it. The baseline does the same work line by line with the standard
library alone and without any check, on the first part of the same file.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .measure import timed_process

FINGERPRINT = "c2f096345b0d84e6bd2ee38b815cc329"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--shape", choices=("lines", "document"), default="lines")
    parser.add_argument("--command", choices=("convert", "validate"), default="convert")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", help="where to make the files (default: a temporary folder)")
    args = parser.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, "
          f"{os.cpu_count()} cores, {platform.machine()}")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source = Path(folder) / "refs.jsonl"
        write_file(source, args.megabytes * 1_000_000, args.shape)
        size = source.stat().st_size
        print(f"{args.command} {size / 1e6:.0f} MB, {args.shape}")
        if args.command == "convert" and args.shape == "lines":
            print(f"  standard library    {baseline(source):7.1f} MB/s")
        for processes in args.processes:
            seconds, peak = measure(args.command, source, Path(folder) / "new.jsonl", processes)
            rate = size / 1e6 / seconds
            print(f"  {processes} process(es)  {rate:14.1f} MB/s  {seconds:6.1f} s  "
                  f"peak memory {peak / 1e6:.0f} MB")  # fmt: skip


def records() -> Iterator[bytes]:
    """Records with refs, no two alike."""
    number = 0
    while True:
        number += 1
        name = f"{number:032x}" * 2
        grid = {"image_grid_thw": [[1, 2 + 2 * (number % 50), 4 + 2 * (number % 37)]]}
        payload = base64.urlsafe_b64encode(json.dumps(grid, separators=(",", ":")).encode())
        parts = ("exp42", "qwen_vl", FINGERPRINT, "image", name[:32], f"{name}.png")
        ref = f"mmraw:v2:{':'.join(parts)}:{payload.decode().rstrip('=')}"
        yield json.dumps({"id": number, "reward": number % 7 / 7, "ref": ref}).encode()


def write_file(path: Path, size: int, shape: str) -> None:
    opening, between, closing = (b"", b"\n", b"\n") if shape == "lines" else (b"[", b", ", b"]")
    written = 0
    with path.open("wb") as file:
        file.write(opening)
        for number, record in enumerate(records()):
            file.write(between + record if number else record)
            written += len(record) + len(between)
            if written >= size:
                break
        file.write(closing)


def measure(command: str, source: Path, target: Path, processes: int) -> tuple[float, int]:
    """Seconds and peak bytes of the command in a process of its own."""
    call = [sys.executable, "-m", "mmraw_protocol.cli", command, str(source)]
    call += ["--processes", str(processes), "--json"]
    if command == "convert":
        call += ["--out", str(target)]
    seconds, usage = timed_process(call)
    # Kilobytes on Linux, bytes on macOS.
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def baseline(source: Path, most: int = 50_000_000) -> float:
    """MB/s of the straightforward way: decode, take apart, put together, encode."""
    done = 0
    started = time.perf_counter()
    with source.open("rb") as lines, open(os.devnull, "wb") as out:
        for line in lines:
            out.write(json.dumps(converted(json.loads(line))).encode() + b"\n")
            done += len(line)
            if done >= most:
                break
    return done / 1e6 / (time.perf_counter() - started)


def converted(value: object) -> object:
    if isinstance(value, dict):
        return {key: converted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [converted(inner) for inner in value]
    if isinstance(value, str) and value.startswith("mmraw:v2:"):
        _, _, run_id, family, fingerprint, modality, mm_hash, name, text = value.split(":")
        payload = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        fields = {
            "run_id": run_id, "family": family, "fingerprint": fingerprint, "modality": modality,
            "mm_hash": mm_hash, "payload": payload, "raw_image_id": name,
        }  # fmt: skip
        encoded = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        return "mmraw:v3:" + base64.urlsafe_b64encode(encoded).decode().rstrip("=")
    return value


if __name__ == "__main__":
    main()
