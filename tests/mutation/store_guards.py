"""Guards of stores and of materialization."""

from guard import Guard

CACHE_DIRECTORY = "mmraw_protocol/stores/cache_directory.py"
COLLECT = "mmraw_protocol/stores/maintenance/collect.py"
DISK = "mmraw_protocol/stores/disk.py"
ENTRIES = "mmraw_protocol/stores/entries.py"
LOCAL = "mmraw_protocol/stores/local.py"
MATERIALIZE = "mmraw_protocol/materialize/comparison.py"
REFERENCES = "mmraw_protocol/stores/maintenance/references.py"
VERIFY = "mmraw_protocol/stores/verify.py"

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
        "tests/test_store_disk.py -k exclusive",
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
        "tests/test_store_disk.py -k durable",
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
        "tests/test_store_disk.py -k failing_disk",
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
        "if named and ref.fingerprint != adapter.fingerprint(ref.dialect):",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "the payload",
        MATERIALIZE,
        "if not agrees(adapter.parse_payload(ref.payload), layout.payload):",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "every field of it",
        MATERIALIZE,
        "name in expected and expected[name] == value",
        "expected.get(name, value) == value",
        "tests/test_conventions.py",
    ),
    Guard(
        "the placeholder",
        MATERIALIZE,
        "if length not in placeholder_lengths(adapter, layout):",
        "if False:",
        "tests/test_materialize.py",
    ),
    Guard(
        "waiting calls know their own thread",
        "mmraw_protocol/materialize/cache.py",
        "if flight is mine or flight.is_own:",
        "if flight is mine:",
        "tests/test_forks_and_interrupts.py -k within",
    ),
    Guard(
        "a store knows its directory",
        LOCAL,
        "if identity_of(descriptor) == root.identity:",
        "if True:",
        "tests/test_descriptors.py -k found_again",
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
]
