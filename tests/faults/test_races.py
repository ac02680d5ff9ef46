"""Other writers at the same time: honest ones, clumsy ones, and one who wants out of the store."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore

SECONDS = 5.0
GOOD, SECRET = b"good" * 500, b"secret" * 400

#: Swaps a regular file, or a whole directory, for a link to the outside and back, for ever.
ATTACKER = """
import os, sys
place, outside, inside = sys.argv[1:]
while True:
    os.symlink(outside, place + ".new")
    if os.path.isdir(inside):
        os.rename(place, place + ".old")
        os.rename(place + ".new", place)
        os.unlink(place)
        os.rename(place + ".old", place)
    else:
        os.rename(place + ".new", place)
        os.link(inside, place + ".new")
        os.rename(place + ".new", place)
"""


@pytest.mark.parametrize("part", ["name", "images", "assets", "run_a"])
def test_a_racing_rename_leads_no_read_out_of_the_store(
    part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    images = root / "run_a" / "assets" / "images"
    for folder in (images, outside, outside / "images", outside / "assets" / "images"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "picture.png").write_bytes(SECRET)
    (images / "picture.png").write_bytes(GOOD)
    (tmp_path / "good").write_bytes(GOOD)
    store = LocalStore(root, run_ids=["a"])
    places = {"name": images / "picture.png", "images": images, "assets": images.parent}
    place = places.get(part, root / "run_a")
    # The hash is of no help here: the name promises none.
    target = outside / "picture.png" if part == "name" else outside
    inside = tmp_path / "good" if part == "name" else place
    command = [sys.executable, "-c", ATTACKER, str(place), str(target), str(inside)]
    attacker = subprocess.Popen(command)
    reads, refused, escapes = 0, 0, 0
    until = time.monotonic() + SECONDS / (1 if part == "name" else 2)
    try:
        while time.monotonic() < until:
            try:
                found = store.get("picture.png", run_id="a")
            except MMRawError:
                refused += 1
                continue
            reads += 1
            escapes += found != GOOD
        assert attacker.poll() is None, "the attacker gave up"
    finally:
        attacker.kill()
        attacker.wait()
    with capsys.disabled():
        print(f"\n{part}: {reads} reads, {refused} refusals, {escapes} escapes")
    assert escapes == 0
    assert reads > 100
    assert refused > 10


#: 16 writers, 16 readers and a vandal in one process; prints what it saw.
CROWD = """
import os, random, sys, threading, time
from mmraw_protocol import MMRawError
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex
store = LocalStore(sys.argv[1])
until = time.monotonic() + float(sys.argv[2])
images = [bytes([n]) * size for n, size in enumerate((1, 5000, 70_000, 1_000_000))]
names = [f"{sha256_hex(data)}.img" for data in images]
counts = {"puts": 0, "reads": 0, "absent": 0, "corrupt": 0, "torn": 0, "failed": 0}
lock = threading.Lock()
def count(what):
    with lock: counts[what] += 1
def write():
    while time.monotonic() < until:
        data = random.choice(images)
        try: store.put(data); count("puts")
        except MMRawError: count("failed")
def read():
    while time.monotonic() < until:
        n = random.randrange(4)
        try: count("reads" if store.get(names[n]) == images[n] else "torn")
        except MMRawError as error:
            known = {"source_unavailable": "absent", "object_corrupt": "corrupt"}
            count(known.get(error.code, "failed"))
def spoil():
    while time.monotonic() < until:
        n = random.randrange(4)
        store.delete(names[n])
        if random.random() < 0.3:
            spoilt = os.path.join(sys.argv[1], f".spoilt-{os.getpid()}")
            with open(spoilt, "wb") as file: file.write(images[n][: len(images[n]) // 2])
            os.rename(spoilt, os.path.join(sys.argv[1], names[n]))
        time.sleep(0.002)
work = [write] * 16 + [read] * 16 + [spoil]
threads = [threading.Thread(target=job) for job in work]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(" ".join(str(value) for value in counts.values()))
"""


def test_64_writers_and_64_readers_see_no_torn_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", CROWD, str(tmp_path / "images"), str(SECONDS)]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120)[0] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 4
    totals = [sum(column) for column in zip(*(map(int, s.split()) for s in said), strict=True)]
    puts, reads, absent, corrupt, torn, failed = totals
    with capsys.disabled():
        print(f"\n{puts} puts, {reads} reads, {absent} absent, {corrupt} corrupt, {torn} torn")
    assert torn == 0
    assert failed == 0
    assert min(puts, reads) > 100
    store = LocalStore(tmp_path / "images")
    assert [name for name in os.listdir(store.root) if name.startswith(".mmraw")] == []


def test_what_is_put_while_old_objects_are_collected_stays(tmp_path: Path) -> None:
    store, collector = LocalStore(tmp_path), LocalStore(tmp_path)
    images = [bytes([n]) * 2000 for n in range(20)]
    until = time.monotonic() + SECONDS / 2
    stop, removed = threading.Event(), threading.Event()

    def collect() -> None:
        while not stop.is_set():
            for name in list(collector.list()):
                if collector.delete_older(name, older_than=3600):
                    removed.set()

    def goes_on() -> bool:
        """For some seconds, and on a busy machine until the collector had its turn."""
        now = time.monotonic()
        return now < until or (not removed.is_set() and now < until + 30)

    def put() -> int:
        acknowledged = 0
        while goes_on():
            for data in images:
                name = store.put(data)
                # Nobody needs it for two hours, and the next writer does.
                with contextlib.suppress(FileNotFoundError):
                    os.utime(tmp_path / name, (0, 0))
                assert store.put(data) == name
                assert there(store, name), "an acknowledged image is gone"
                acknowledged += 1
        return acknowledged

    with ThreadPoolExecutor(2) as pool:
        collecting = pool.submit(collect)
        try:
            acknowledged = pool.submit(put).result()
        finally:
            stop.set()
        collecting.result()
    assert removed.is_set()
    assert acknowledged > 100


def there(store: LocalStore, name: str) -> bool:
    """True if it can be read; a collector that gives a name back does so within a moment."""
    for _ in range(200):
        if store.has(name):
            return True
        time.sleep(0.001)
    return False
