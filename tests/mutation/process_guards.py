"""Guards of files, processes and what people see of objects."""

from guard import HANGS, Guard

DESCRIPTORS = "mmraw_protocol/system/descriptors.py"
OUTPUT = "mmraw_protocol/files/output.py"
PYTHON = "mmraw_protocol/images/worker_start.py"

GUARDS = [
    Guard(
        "a fork keeps no worker of its parent",
        "mmraw_protocol/system/forks.py",
        "    os.register_at_fork(after_in_child=_in_child)\n",
        "    pass\n",
        "tests/test_isolation.py -k fork",
    ),
    Guard(
        "a call that ended holds nothing",
        "mmraw_protocol/system/claims.py",
        "            frame = frame.f_back\n        return False",
        "            frame = frame.f_back\n        return True",
        "tests/test_forks_and_interrupts.py -k ended",
    ),
    Guard(
        "a stack that changes while it is walked",
        "mmraw_protocol/system/claims.py",
        "for _ in range(_WALKS))",
        "for _ in range(1))",
        "tests/test_forks_and_interrupts.py -k stack",
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
        "tests/test_descriptors.py -k 'daemon or knows_its_file'",
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
        seconds=HANGS,
    ),
    Guard(
        "bytes that wait for the blocks before",
        "mmraw_protocol/files/pool.py",
        " and _held(waiting) < _HELD",
        "",
        "tests/test_pool.py -k bounded",
    ),
    Guard(
        "short blocks where strings grow",
        "mmraw_protocol/files/rewriting.py",
        "reader.block = min(most, max(size, _SHORTEST))",
        "reader.block = most",
        "tests/test_pool.py -k short_where",
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
