"""A migration on Ray with two workers: validate, convert, offload to S3, fsck, inline.

    $(python3 tests/environments/install.py ray) -m benchmarks.archives                   # 50 MB
    $(python3 tests/environments/install.py ray) -m benchmarks.archives --megabytes 4000
    $(python3 tests/environments/install.py ray) -m benchmarks.archives --megabytes 400 --kill 20

The rollouts are made in a temporary folder, half of them JSON lines (Zstandard, files of 64 MB),
half Parquet: conversations with a picture each, every picture in four rows, and a ref of one of the
dialects v1, v2, v3 and bare. One row in twenty is broken: its ref, its picture, or its JSON. The
store is a server of S3 on this machine. With --kill a worker process is killed every so many
seconds. Rows are counted by their ids after each step. With --rate a file of JSON lines of refs is
checked and converted by one process and by Ray's two workers instead, for the ratio.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import logging
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from mmraw_protocol import (
    build_features,
    convert_ref,
    get_adapter,
    mm_data,
    open_store,
    pack_images,
)
from mmraw_protocol.files import ConvertJob, StoreSpec, check, rewrite

from .files import write_lines

RUN, BUCKET, FAMILY = "exp42", "s3://images", "qwen_vl"
PLACE = StoreSpec(f"{BUCKET}/store", RUN)
DIALECTS = ("v1", "v2", "v3", "bare-data")
_adapter: Any = get_adapter(FAMILY)
CONFIG: dict[str, Any] = msgspec.to_builtins(_adapter.config)
#: Rows with one picture.
TURNS = 4
FILE_BYTES = 64 << 20
PARQUET = "parquet"
LINES = "lines"
_ID = re.compile(rb'"id": (\d+)')


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--kill", type=float, metavar="SECONDS", help="kill a worker so often")
    parser.add_argument("--rate", action="store_true", help="one process against Ray's two")
    parser.add_argument("--folder", help="where to make the files (default: a temporary folder)")
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "objects"))
    server_type: Any = import_module("s3_server").S3Server
    with tempfile.TemporaryDirectory(dir=args.folder) as name, Engine() as engine:
        folder = Path(name)
        (folder / "s3").mkdir()
        server = server_type(folder / "s3")
        server.start()
        try:
            engine.start({**server.environment(), **CHECKSUMS})
            if args.rate:
                compare(engine, folder, args.megabytes * 1_000_000)
            else:
                migrate(engine, folder, args.megabytes * 1_000_000, args.kill).tell()
        finally:
            server.kill()


#: The server wants the length of an upload before its checksum.
CHECKSUMS = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}


class Engine:
    """Ray with two workers, as few messages as it can do with, and blocks of 32 MB."""

    def __init__(self) -> None:
        self.ray: Any = import_module("ray")
        self.work: Any = import_module("mmraw_protocol.integrations.ray")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.ray.shutdown()

    def start(self, variables: dict[str, str]) -> None:
        # Ray's workers give way to all other processes, the one that they are compared with too.
        os.environ.update(variables, RAY_worker_niceness="0")
        options: dict[str, Any] = {
            "include_dashboard": False,
            "log_to_driver": False,
            "logging_level": "ERROR",
        }
        options["runtime_env"] = {"env_vars": self.work.WORKER_VARIABLES}
        self.ray.init(num_cpus=2, object_store_memory=1 << 30, **options)
        context = import_module("ray.data").DataContext.get_current()
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context.enable_progress_bars = context.print_on_execution_start = False
        context.target_max_block_size = 32 << 20

    def read(self, folder: Path, form: str) -> tuple[Any, dict[str, Any]]:
        """The Dataset of a folder, and what the work on it is reported."""
        if form == LINES:
            return self.work.read_lines(str(folder)), {"documents": ["line"]}
        return self.work.read_rows(str(folder)), {}


def migrate(engine: Engine, folder: Path, size: int, kill: float | None) -> Watch:
    """All steps, and what was seen of Ray's processes meanwhile."""
    made = {form: make(folder / "made" / form, form, size // 2) for form in (LINES, PARQUET)}
    total = sum(byte_count(folder / "made" / form) for form in made)
    print(f"{sum(made.values())} rows, {total / 1e6:.0f} MB in files, {size / 1e6:.0f} MB of rows")
    steps: tuple[tuple[str, str, str | None], ...] = (
        ("validate", "made", None),
        ("convert", "made", "converted"),
        ("offload", "converted", "offloaded"),
        ("fsck", "offloaded", None),
        ("inline", "offloaded", "inlined"),
    )
    with Watch(kill) as watch:
        for name, source, target in steps:
            for form, rows in made.items():
                step(engine, folder, name, source, target, form, rows)
            # The disk need not hold what is not read again.
            if target is not None:
                shutil.rmtree(folder / source)
    return watch


def step(
    engine: Engine, folder: Path, name: str, source: str, target: str | None, form: str, rows: int
) -> None:
    """One step of one form, and its line in the report."""
    ds, options = engine.read(folder / source / form, form)
    work, started = engine.work, time.perf_counter()
    lost = ""
    if target is None:
        results = (
            work.validate(ds, **options) if name == "validate" else work.fsck(ds, PLACE, **options)
        )
        summary = work.summary(results)
    else:
        jobs: dict[str, dict[str, Any]] = {"convert": {"to": "v3", "run_id": RUN, "config": CONFIG}}
        job = jobs.get(name, {"store": PLACE})
        out, refused = str(folder / target / form), str(folder / f"{target}-refused" / form)
        form_of = {"form": "lines", "compression": "zstd"} if form == LINES else {}
        done = getattr(work, name)(ds, **job, **options)
        summary = done.write(out, refused=refused, **form_of)
    seconds = time.perf_counter() - started
    if target is not None:
        found = ids(folder / target / form, form)
        doubled = sum(found.values()) - len(found)
        lost = f"; {rows - len(found)} lost, {doubled} doubled"
    counts = ", ".join(f"{number} {kind}" for kind, number in sorted(summary.counts.items()))
    print(f"{name:9} {form:8} {seconds:7.1f} s {rows / seconds:7.0f} rows/s; {counts}; "
          f"refused {dict(sorted(summary.refused.items()))}{lost}", flush=True)  # fmt: skip


def ids(folder: Path, form: str) -> Counter[int]:
    """Counts how often each row is there."""
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    found: Counter[int] = Counter()
    for path in folder.iterdir():
        if form == PARQUET:
            found.update(parquet.read_table(path, columns=["id"])["id"].to_pylist())
            continue
        with arrow.CompressedInputStream(str(path), "zstd") as file:
            for line in io.BufferedReader(file, 1 << 20):
                found.update([int(_ID.findall(line)[0])])
    return found


def byte_count(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


class Watch:
    """Looks at Ray's processes twice a second, and kills one of them every so many seconds.

    Attributes:
        killed: How many were killed.
        peaks: Bytes of the largest process at each kind of work: what is resident, less what is
            shared with others (files and the object store).
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.killed = 0
        self.peaks: dict[str, int] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def tell(self) -> None:
        """Prints what was seen."""
        print(f"workers killed: {self.killed}; the largest process at each work:")
        for name, size in sorted(self.peaks.items()):
            print(f"  {name:60} {size / 1e6:5.0f} MB")

    def _run(self) -> None:
        psutil: Any = import_module("psutil")
        last = time.monotonic()
        while not self._ended.wait(0.5):
            is_time = self._seconds is not None and time.monotonic() - last > self._seconds
            for process in psutil.Process().children(recursive=True):
                try:
                    # A worker is named after what it does; one at rest is ray::IDLE.
                    name = process.cmdline()[0]
                    if not name.startswith("ray::"):
                        continue
                    memory = process.memory_info()
                    own = memory.rss - memory.shared
                    self.peaks[name] = max(self.peaks.get(name, 0), own)
                    if is_time and name.startswith(("ray::Map", "ray::Read", "ray::Write")):
                        process.kill()
                        self.killed += 1
                        is_time, last = False, time.monotonic()
                except (psutil.Error, IndexError):
                    continue


def make(folder: Path, form: str, size: int) -> int:
    """Writes files with so many bytes of rows; how many rows these are."""
    folder.mkdir(parents=True)
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    rows = made_rows(form)
    written = number = 0
    while written < size:
        held = 0
        taken: list[dict[str, Any]] = []
        while held < min(FILE_BYTES, size - written):
            row = next(rows)
            taken.append(row)
            held += len(row["messages"]) + len(row["ref"]) + 64
        written += held
        number += len(taken)
        path = folder / f"{number:08d}"
        if form == PARQUET:
            table = arrow.Table.from_pylist(taken)
            parquet.write_table(
                table, path.with_suffix(".parquet"), row_group_size=256, write_batch_size=16
            )
            continue
        with arrow.CompressedOutputStream(str(path.with_suffix(".jsonl.zst")), "zstd") as file:
            for row in taken:
                file.write(line_of(row) + b"\n")
    return number


def line_of(row: dict[str, Any]) -> bytes:
    line = json.dumps({**row, "messages": json.loads(row["messages"])}).encode()
    return line[:-1] if row["id"] % 60 == 27 else line


def made_rows(form: str) -> Iterator[dict[str, Any]]:
    store = open_store(PLACE.place, run_id=RUN)
    for picture in count():
        url, refs = made_picture(f"{form} {picture}", store)
        for number in range(picture * TURNS, (picture + 1) * TURNS):
            broken = number % 60
            ref = refs[number % len(DIALECTS)]
            shown = url[:200] + "!" + url[200:] if broken == 47 else url
            content = [
                {"type": "image_url", "image_url": {"url": shown}},
                {"type": "text", "text": f"step {number}"},
            ]
            yield {
                "id": number,
                "messages": json.dumps([{"role": "user", "content": content}]),
                "ref": ref[:-4] if broken == 7 else ref,
                "reward": number % 7 / 7,
            }


def made_picture(seed: str, store: Any) -> tuple[str, list[str]]:
    """A picture that does not compress, as a data: URL, and its refs in each dialect."""
    image: Any = import_module("PIL.Image")
    file = io.BytesIO()
    noise = random.Random(seed).randbytes(160 * 120 * 3)
    image.frombytes("RGB", (160, 120), noise).save(file, "PNG", compress_level=0)
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    messages = [{"content": [{"type": "image_url", "image_url": {"url": url}}], "role": "user"}]
    images = pack_images(messages, get_adapter(FAMILY), store=store)
    body = build_features(mm_data(images, offsets=[5]), run_id=RUN)
    ref = next(iter(body["kwargs_data"].values()))[0]
    return url, [convert_ref(ref, dialect, RUN, CONFIG, store) for dialect in DIALECTS]


def compare(engine: Engine, folder: Path, size: int) -> None:
    """JSON lines of refs, checked and moved to v3: one process and two workers of Ray, in turns."""
    path = folder / "refs.jsonl"
    write_lines(path, "v2", 200_000, size)
    contestants: dict[str, dict[str, Callable[[Path], object]]] = {
        "validate": {
            "one process": lambda out: one_check(path),
            "Ray, two workers": lambda out: two_checks(engine, path),
        },
        "convert": {
            "one process": lambda out: one_process(path, out),
            "Ray, two workers": lambda out: two_workers(engine, path, out),
        },
    }
    with Watch() as watch:
        for name, runs in contestants.items():
            for turn, (who, run) in enumerate([*runs.items()] * 2):
                out = folder / f"{name}-{turn}"
                started, before = time.perf_counter(), processor_seconds()
                run(out)
                seconds = time.perf_counter() - started
                rate = path.stat().st_size / 1e6 / seconds
                print(f"{name:8} {who:17} {seconds:7.1f} s {rate:7.1f} MB/s; processor time "
                      f"{processor_seconds() - before:.1f} s", flush=True)  # fmt: skip
                remove(out)
    watch.tell()


def processor_seconds() -> float:
    """Of this process and all that it started and that still run: Ray and its workers."""
    psutil: Any = import_module("psutil")
    found = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            found += sum(process.cpu_times()[:2])
    return found


def remove(out: Path) -> None:
    """Removes what a turn wrote: the disk need not hold all of them."""
    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)


def one_check(path: Path) -> None:
    with path.open("rb") as source:
        check(source.read)


def two_checks(engine: Engine, path: Path) -> None:
    lines = engine.work.read_lines(str(path))
    engine.work.summary(engine.work.validate(lines, documents=["line"]))


def one_process(path: Path, out: Path) -> None:
    with path.open("rb") as source, out.open("wb") as target:
        rewrite(source.read, target.write, ConvertJob())


def two_workers(engine: Engine, path: Path, out: Path) -> None:
    done = engine.work.convert(engine.work.read_lines(str(path)), documents=["line"])
    done.write(str(out), refused=f"{out}-refused", form="lines")


if __name__ == "__main__":
    main()
