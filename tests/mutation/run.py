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
ENTRIES, VERIFY = "mmraw_protocol/stores/entries.py", "mmraw_protocol/stores/verify.py"
CACHE_DIRECTORY = "mmraw_protocol/stores/cache_directory.py"
COLLECT = "mmraw_protocol/stores/maintenance/collect.py"
REFERENCES = "mmraw_protocol/stores/maintenance/references.py"
JSON, MATERIALIZE = "mmraw_protocol/wire/json.py", "mmraw_protocol/materialize/materializer.py"
FAULTS, SOURCE = "mmraw_protocol/images/faults.py", "mmraw_protocol/images/source.py"
OUTPUT, PYTHON = "mmraw_protocol/files/output.py", "mmraw_protocol/system/python.py"
DESCRIPTORS = "mmraw_protocol/system/descriptors.py"
BULK = "mmraw_protocol/wire/jsonbulk.py"
DECODE, HEADER = "mmraw_protocol/images/pixels.py", "mmraw_protocol/images/header.py"
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
        ENTRIES,
        "os.O_NONBLOCK | os.O_NOFOLLOW |",
        "os.O_NONBLOCK |",
        "tests/test_assets.py -k no_regular",
    ),
    Guard(
        "reads never wait for a FIFO",
        ENTRIES,
        "_READ = os.O_RDONLY | os.O_NONBLOCK |",
        "_READ = os.O_RDONLY |",
        "tests/test_assets.py -k fifo",
    ),
    Guard(
        "regular files only",
        ENTRIES,
        "if stat.S_ISREG(status.st_mode):",
        "if True:",
        "tests/test_assets.py -k no_regular",
    ),
    Guard(
        "temporary names are new",
        ENTRIES,
        "os.O_CREAT | os.O_EXCL |",
        "os.O_CREAT |",
        "tests/test_assets.py -k exclusive",
    ),
    Guard(
        "directories follow no link",
        DISK,
        "open_above(name, DIRECTORY | os.O_NOFOLLOW,",
        "open_above(name, DIRECTORY,",
        "tests/test_assets.py -k below_the_root",
    ),
    Guard(
        "the root is held open",
        LOCAL,
        'open_above(".", disk.DIRECTORY, dir_fd=self._root.number)',
        "open_above(self.root, disk.DIRECTORY)",
        "tests/test_assets.py -k leads_to_later",
    ),
    Guard(
        "files reach the disk",
        ENTRIES,
        "    os.fsync(descriptor)\n        finally:\n            os.close(descriptor)\n        _r",
        "    pass\n        finally:\n            os.close(descriptor)\n        _r",
        "tests/test_assets.py -k durable",
    ),
    Guard(
        "existing objects are verified",
        ENTRIES,
        "return found == data",
        "return found is not None",
        "tests/test_assets.py -k corrupt_object",
    ),
    Guard(
        "failures leave nothing",
        ENTRIES,
        "os.unlink(temporary, dir_fd=directory)\n        raise",
        "pass\n        raise",
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
        ENTRIES,
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
        VERIFY,
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
        "mmraw_protocol/images/decode.py",
        '(isolation == "auto" and fits_bound(data, limits))',
        'isolation == "auto"',
        "tests/test_isolation.py -k needs_a_worker",
    ),
    Guard(
        "memory in a worker",
        WORKER,
        "is_own_bound = _bound_memory(base, request.memory_bytes)",
        "is_own_bound = True",
        "tests/test_isolation.py -k memory",
    ),
    Guard(
        "a fork keeps no worker of its parent",
        "mmraw_protocol/system/forks.py",
        "    os.register_at_fork(after_in_child=_in_child)\n",
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
    Guard(
        "a call that ended holds nothing",
        "mmraw_protocol/system/claims.py",
        "            frame = frame.f_back\n        return False",
        "            frame = frame.f_back\n        return True",
        "tests/test_forks_and_interrupts.py -k ended",
    ),
    Guard(
        "waiting calls know their own thread",
        "mmraw_protocol/materialize/cache.py",
        "if flight is mine or flight.is_own:",
        "if flight is mine:",
        "tests/test_forks_and_interrupts.py -k within",
    ),
    Guard(
        "threads of a fork's parent",
        "mmraw_protocol/system/ordered.py",
        "if future is None or os.getpid() != owner else",
        "if future is None else",
        "tests/test_forks_and_interrupts.py -k threads_of_its_own",
    ),
    Guard(
        "own descriptors are above the streams",
        DESCRIPTORS,
        "if descriptor >= _FIRST:",
        "if True:",
        "tests/test_descriptors.py",
    ),
    Guard(
        "descriptors are known by their file",
        DESCRIPTORS,
        "return identity_of(self._number) == self.identity",
        "return True",
        "tests/test_descriptors.py",
    ),
    Guard(
        "a store knows its directory",
        LOCAL,
        "if identity_of(descriptor) == root.identity:",
        "if True:",
        "tests/test_descriptors.py -k found_again",
    ),
    Guard(
        "applications are not started",
        PYTHON,
        "elif not _INTERPRETER.fullmatch(os.path.basename(name)):",
        "elif False:",
        "tests/test_machine_faults.py -k application",
    ),
    Guard(
        "frozen applications are not started",
        PYTHON,
        'elif getattr(sys, "frozen", False) or',
        "elif",
        "tests/test_machine_faults.py -k application",
    ),
    Guard(
        "a started worker starts none",
        PYTHON,
        "if os.environ.get(_MARK):",
        "if False:",
        "tests/test_machine_faults.py -k starts_no_other",
    ),
    Guard(
        "faults of the system are not the image's",
        FAULTS,
        "return error.errno is not None",
        "return False",
        "tests/test_machine_faults.py -k limit",
    ),
    Guard(
        "faults of memory are not the image's",
        FAULTS,
        "_MACHINES = (MemoryError, RecursionError, ImportError)",
        "_MACHINES = ()",
        "tests/test_machine_faults.py -k only_what",
    ),
    Guard(
        "other code's exceptions are not the image's",
        FAULTS,
        " and not _is_foreign(error)",
        "",
        "tests/test_machine_faults.py -k other_code",
    ),
    Guard(
        "a killed worker is not the image's fault",
        ISOLATION,
        "if code in _CRASHES:",
        "if True:",
        "tests/test_isolation.py -k crash_is_one",
    ),
    Guard(
        "Pillow with settings of our own",
        HEADER,
        "from .own_pillow import GifImagePlugin,",
        "from PIL import GifImagePlugin,",
        "tests/test_other_code_settings.py -k verdict",
    ),
    Guard(
        "sources are read to their end",
        SOURCE,
        "while most > 0 and (part := file.read(most)):",
        "if most > 0 and (part := file.read(most)):",
        "tests/test_machine_faults.py -k its_end",
    ),
    Guard(
        "a cache takes no directory of others",
        CACHE_DIRECTORY,
        "if any(name not in _IGNORED and not entries.is_temporary(name) for name in names):",
        "if False:",
        "tests/test_cache_directory.py",
    ),
    Guard(
        "a cache's mark names this package",
        CACHE_DIRECTORY,
        " and _OWNER in lines[1]",
        "",
        "tests/test_cache_directory.py",
    ),
    Guard(
        "a cache removes only its own files",
        CACHE_DIRECTORY,
        "if _NAME.fullmatch(name):",
        "if True:",
        "tests/test_cache_directory.py",
    ),
    Guard(
        "files that changed are not replaced",
        OUTPUT,
        "if not same or (held.st_size, held.st_mtime_ns) != (self.size, self.modified):",
        "if False:",
        "tests/test_replaced_files.py -k changed",
    ),
    Guard(
        "files with a writer are not replaced",
        OUTPUT,
        "if _is_being_written(self.source):",
        "if False:",
        "tests/test_replaced_files.py -k holds_open",
    ),
    Guard(
        "signals leave no temporary",
        OUTPUT,
        '("SIGHUP", "SIGTERM", "SIGQUIT", ',
        '("SIGTERM", ',
        "tests/test_replaced_files.py -k no_signal",
    ),
    Guard(
        "ignored signals stay so",
        OUTPUT,
        " if signal.getsignal(one) is signal.SIG_DFL]",
        "]",
        "tests/test_replaced_files.py -k stays_so",
    ),
    Guard(
        "a temporary in use is no leftover",
        OUTPUT,
        "LOCK_EX | fcntl.LOCK_NB)\n                    os.unlink(path)",
        "LOCK_SH)\n                    os.unlink(path)",
        "tests/test_replaced_files.py -k killed_command",
    ),
    Guard(
        "percent-coded references",
        REFERENCES,
        'decoded = unquote(text) if "%" in text else text',
        "decoded = text",
        "tests/test_collected_objects.py",
    ),
    Guard(
        "references in opaque payloads",
        REFERENCES,
        "for inner in strings_in_value(ref.payload, line):",
        "for inner in strings_in_value(None, line):",
        "tests/test_collected_objects.py",
    ),
    Guard(
        "files without references",
        COLLECT,
        "if not allow_empty:",
        "if False:",
        "tests/test_collected_objects.py",
    ),
    Guard(
        "something of a store stays",
        COLLECT,
        "report.everything = bool(items) and",
        "report.everything = False and",
        "tests/test_collected_objects.py",
    ),
    Guard(
        "a valid copy is a success",
        LOCAL,
        'if error.code != "store_permission" or not is_there:',
        "if True:",
        "tests/test_shared_stores.py",
    ),
    Guard(
        "ages are numbers",
        "mmraw_protocol/stores/base.py",
        "if math.isnan(older_than):",
        "if False:",
        "tests/test_collected_objects.py -k age",
    ),
    Guard(
        "a label is no list of labels",
        "mmraw_protocol/stores/runs.py",
        "if isinstance(run_ids, (str, bytes)):",
        "if False:",
        "tests/test_shared_stores.py -k label",
    ),
    Guard(
        "URLs are no paths",
        "mmraw_protocol/stores/place.py",
        "if not place or _URL.match(place) or",
        "if not place or",
        "tests/test_shared_stores.py -k names_no_store",
    ),
    Guard(
        "presence is not guessed",
        LOCAL,
        "if number is not None and number not in entries.NO_OBJECT:",
        "if False:",
        "tests/test_shared_stores.py -k guessed",
    ),
    Guard(
        "runs of blank lines",
        "mmraw_protocol/files/lines.py",
        'return _blank_lines.sub(b"\\n", block)',
        "return block",
        "tests/test_replaced_files.py -k blank",
    ),
    Guard(
        "over-long strings",
        "mmraw_protocol/files/scanner.py",
        " or self._is_plainly_too_long(begin, end)",
        "",
        "tests/test_replaced_files.py -k over_long",
    ),
    Guard(
        "objects are short in logs",
        "mmraw_protocol/system/shown.py",
        'return _cut(f"{type(self).__name__}({inside})", _MOST)',
        'return f"{type(self).__name__}({inside})"',
        "tests/test_shown_objects.py",
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
