"""Takes each guard out, one at a time, and runs the tests that must go red.

    python tests/mutation/run.py            # all guards
    python tests/mutation/run.py rename     # those whose name contains the word

A guard whose absence no test notices, or whose text is no longer found, is a failure.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
LOCAL, DISK = "mmraw_protocol/stores/local.py", "mmraw_protocol/stores/disk.py"
JSON, MATERIALIZE = "mmraw_protocol/wire/json.py", "mmraw_protocol/materialize.py"
BULK = "mmraw_protocol/wire/jsonbulk.py"
DECODE, HEADER = "mmraw_protocol/images/decode.py", "mmraw_protocol/images/header.py"
MEMORY = "mmraw_protocol/images/memory.py"
ISOLATION, WORKER = "mmraw_protocol/images/isolation.py", "mmraw_protocol/images/worker.py"


class Guard(NamedTuple):
    """What is taken out (`old` becomes `new`), and the tests that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


GUARDS = [
    Guard(
        "reads follow no link",
        LOCAL,
        "os.O_NONBLOCK | os.O_NOFOLLOW |",
        "os.O_NONBLOCK |",
        "tests/test_assets.py -k no_regular",
    ),
    Guard(
        "reads never wait for a FIFO",
        LOCAL,
        "_READ = os.O_RDONLY | os.O_NONBLOCK |",
        "_READ = os.O_RDONLY |",
        "tests/test_assets.py -k fifo",
    ),
    Guard(
        "regular files only",
        LOCAL,
        "if stat.S_ISREG(status.st_mode):",
        "if True:",
        "tests/test_assets.py -k no_regular",
    ),
    Guard(
        "temporary names are new",
        LOCAL,
        "os.O_CREAT | os.O_EXCL |",
        "os.O_CREAT |",
        "tests/test_assets.py -k exclusive",
    ),
    Guard(
        "directories follow no link",
        DISK,
        "DIRECTORY | os.O_NOFOLLOW, dir_fd=parent",
        "DIRECTORY, dir_fd=parent",
        "tests/test_assets.py -k below_the_root",
    ),
    Guard(
        "the root is held open",
        LOCAL,
        'os.open(".", disk.DIRECTORY, dir_fd=self._root)',
        "os.open(self.root, disk.DIRECTORY)",
        "tests/test_assets.py -k leads_to_later",
    ),
    Guard(
        "files reach the disk",
        LOCAL,
        "                    os.fsync(descriptor)\n            finally:",
        "                    pass\n            finally:",
        "tests/test_assets.py -k durable",
    ),
    Guard(
        "existing objects are verified",
        LOCAL,
        "return found == data and",
        "return found is not None and",
        "tests/test_assets.py -k corrupt_object",
    ),
    Guard(
        "failures leave nothing",
        LOCAL,
        "os.unlink(temporary, dir_fd=directory)\n            raise",
        "pass\n            raise",
        "tests/test_assets.py -k failing_disk",
    ),
    Guard(
        "stored objects are hashed",
        LOCAL,
        "return verify_object(data, raw_image_id)",
        "return data",
        "tests/test_assets.py -k older_writers",
    ),
    Guard(
        "sizes are bounded",
        LOCAL,
        "if len(data) > most:",
        "if False:",
        "tests/test_assets.py -k sizes_are_bounded",
    ),
    Guard(
        "values are counted",
        BULK,
        "if count > limit:",
        "if False:",
        "tests/test_codec.py -k values_are_counted",
    ),
    Guard(
        "nesting is counted",
        BULK,
        "if max(accumulate(steps, initial=depth)) > limit:",
        "if False:",
        "tests/test_codec.py",
    ),
    Guard(
        "duplicate keys",
        BULK,
        'return _encode(value).count(b":") != colons',
        "return False",
        "tests/test_codec.py",
    ),
    Guard(
        "duplicate keys in large documents",
        JSON,
        "self.holds_key_twice |= len(result) != len(pairs)",
        "pass",
        "tests/test_strict_json.py",
    ),
    Guard(
        "long numbers",
        BULK,
        "return next(filter(None, found), None)",
        "return None",
        "tests/test_codec.py",
    ),
    Guard(
        "few values in refs of listed families",
        "mmraw_protocol/wire/jsonfew.py",
        "if not jsonbulk.holds_more(data, limits.listed_values, is_json=True):",
        "if True:",
        "tests/test_vectors.py",
    ),
    Guard(
        "text beside images",
        JSON,
        "if max_text is not None and len(rest) > max_text:",
        "if False:",
        "tests/test_codec.py -k large_documents",
    ),
    Guard(
        "the outer hash",
        MATERIALIZE,
        "if mm_hash is not None and ref.mm_hash != mm_hash:",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the modality",
        MATERIALIZE,
        "if modality is not None and ref.modality != modality:",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the bytes' hash",
        MATERIALIZE,
        "if len(ref.mm_hash) not in (32, 64) or not digest.startswith(ref.mm_hash):",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the fingerprint",
        MATERIALIZE,
        "if ref.fingerprint != adapter.fingerprint(ref.dialect):",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the grid",
        MATERIALIZE,
        "if tuple(adapter.grid_thw(payload)) != tuple(layout.grid_thw):",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the token count",
        MATERIALIZE,
        "if adapter.num_tokens(payload) != layout.num_tokens:",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the placeholder",
        MATERIALIZE,
        "if length is not None and length != layout.placeholder_length:",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "frames",
        DECODE,
        'if header.frames != 1 and frames != "first":',
        "if False:",
        "tests/test_images.py -k frame",
    ),
    Guard(
        "pixels before decoding",
        HEADER,
        "if width * height > limits.image_pixels:",
        "if False:",
        "tests/test_images.py -k limits_are_held",
    ),
    Guard(
        "sides before decoding",
        HEADER,
        "if max(width, height) > limits.image_side:",
        "if False:",
        "tests/test_images.py -k limits_are_held",
    ),
    Guard(
        "checksums and ends",
        DECODE,
        "check_whole(data, header.format, limits, path)",
        "pass",
        "tests/test_images.py -k verdict",
    ),
    Guard(
        "memory of pixels",
        MEMORY,
        "_WEBP = 16",
        "_WEBP = 8",
        "tests/test_decoding_memory.py -k lossless",
    ),
    Guard(
        "memory of coefficients",
        MEMORY,
        "max(_coefficients(data, head), _RGB * pixels)",
        "_RGB * pixels",
        "tests/test_decoding_memory.py -k CMYK",
    ),
    Guard(
        "memory of scans that stand apart",
        MEMORY,
        "and in_scan >= frame[5]:",
        "and True:",
        "tests/test_decoding_memory.py -k separate",
    ),
    Guard(
        "memory of unpacked texts",
        MEMORY,
        "growth += 12 * length + 5 * unpacked",
        "growth += 12 * length",
        "tests/test_decoding_memory.py -k many",
    ),
    Guard(
        "workers for what takes too much",
        DECODE,
        '(isolation == "auto" and fits_bound(data, limits))',
        'isolation == "auto"',
        "tests/test_isolation.py -k needs_a_worker",
    ),
    Guard(
        "memory in a worker",
        WORKER,
        "        _bound_memory(base, request.memory_bytes)\n",
        "",
        "tests/test_isolation.py -k memory",
    ),
    Guard(
        "a fork keeps no worker of its parent",
        ISOLATION,
        "    os.register_at_fork(after_in_child=_in_child_of_fork)\n",
        "    pass\n",
        "tests/test_isolation.py -k fork",
    ),
    Guard(
        "time in a worker",
        ISOLATION,
        "max(0.0, until - time.monotonic()) * 1000",
        "None",
        "tests/test_isolation.py -k sleep",
    ),
    Guard(
        "sizes a worker gives",
        ISOLATION,
        "if not 0 < size <= 3 * job.limits.image_pixels:",
        "if False:",
        "tests/test_isolation.py -k lie",
    ),
    Guard(
        "pixels a worker gives",
        ISOLATION,
        "if len(rgb) != size:",
        "if False:",
        "tests/test_isolation.py -k short",
    ),
    Guard(
        "workers end with their parent",
        WORKER,
        "    _end_with_parent(setup.life)\n",
        "",
        "tests/test_isolation.py -k outlives",
    ),
]


def main() -> int:
    """Runs every guard whose name contains the argument; 1 where one is not noticed."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    survivors: list[str] = []
    guards = [guard for guard in GUARDS if word in guard.name]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        for part in ("mmraw_protocol", "spec", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for guard in guards:
            verdict = check(guard, copy)
            print(f"{guard.name:32} {verdict}", flush=True)
            if verdict != "noticed":
                survivors.append(guard.name)
    print(f"{len(guards) - len(survivors)} passed, {len(survivors)} failed")
    return 1 if survivors or not guards else 0


def check(guard: Guard, copy: Path) -> str:
    """Takes the guard out of the copy, runs its tests, and puts it back."""
    path = copy / guard.file
    text = path.read_text(encoding="utf-8")
    if text.count(guard.old) != 1:
        return f"NOT FOUND ONCE ({text.count(guard.old)} times)"
    path.write_text(text.replace(guard.old, guard.new), encoding="utf-8")
    try:
        return verdict_of(guard.tests, copy)
    finally:
        path.write_text(text, encoding="utf-8")


def verdict_of(tests: str, copy: Path) -> str:
    """Whether the tests fail; a run that hangs has noticed too, one without tests has not."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = {
        "PYTHONPATH": str(copy),
        "PATH": "/usr/bin:/bin",
        "HYPOTHESIS_PROFILE": "default",
    }
    try:
        done = subprocess.run(
            [*command, *tests.replace("", "").split()],
            cwd=copy,
            env=environment,
            capture_output=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return "noticed"
    return {0: "SURVIVED", 1: "noticed"}.get(done.returncode, f"NO TEST RAN ({done.returncode})")


if __name__ == "__main__":
    sys.exit(main())
