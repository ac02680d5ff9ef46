"""Guards of commands on files: lists in long documents, MessagePack, inputs without anything."""

from guard import Guard
from places import WIRE

STREAM = f"{WIRE}/msgpack_stream.py"
ROW_TESTS = "tests/test_indexed_rows.py"
LONG_TESTS = "tests/test_long_documents.py"
CHECK_TESTS, PACK_TESTS = "tests/test_checking.py", "tests/test_msgpack_files.py"
EMPTY_TESTS = "tests/test_nothing_found.py"

TABLE_TESTS, FORM_TESTS = "tests/test_tables.py", "tests/test_table_forms.py"
PATTERN, PATTERN_TESTS = f"{WIRE}/ref_pattern.py", "tests/test_ref_patterns.py"

GUARDS = [
    Guard(
        "Arrow streams end",
        f"{WIRE}/rows.py",
        "is_whole = self.file.read() == _STREAM_END",
        "is_whole = True",
        f"{TABLE_TESTS} -k between_two",
    ),
    Guard(
        "digits in patterns are hexadecimal",
        PATTERN,
        "if len(longer) < _LEAST or longer.strip(_HEXADECIMAL):",
        "if len(longer) < _LEAST:",
        f"{PATTERN_TESTS} -k judged_by",
    ),
    Guard(
        "refs that are decoded together have their lengths",
        PATTERN,
        "return documents if [*map(len, documents)] == sizes else None",
        "return documents if len(documents) == len(sizes) else None",
        f"{PATTERN_TESTS} -k among_others",
    ),
    Guard(
        "rows with more than refs in them are walked",
        "mmraw_protocol/files/validation.py",
        "if not strings.isdisjoint(_MARKS) or _PLACED.search(rest):",
        "if _PLACED.search(rest):",
        f"{PATTERN_TESTS} -k lines",
    ),
    Guard(
        "lines that are read together are one object each",
        f"{WIRE}/json.py",
        'if not len(rows) - 1 == data.count(b"\\n") == data.count(b"}\\n{"):',
        "if not rows:",
        f"{PATTERN_TESTS} -k lines",
    ),
    Guard(
        "lists by their keys in files of long documents",
        "mmraw_protocol/files/objects.py",
        'named = LISTS.get(self._key or "")',
        "named = None",
        f"{CHECK_TESTS} -k any_length",
    ),
    Guard(
        "lists without keys in files of long documents",
        "mmraw_protocol/files/objects.py",
        "may_be_list = named is None and self._begins_as_list()",
        "may_be_list = False",
        f"{CHECK_TESTS} -k any_length",
    ),
    Guard(
        "mm_refs without keys in files",
        "mmraw_protocol/files/validation.py",
        "if is_placed_array(rows):",
        "if False:",
        f"{PACK_TESTS} -k without_keys",
    ),
    Guard(
        "words that are no URLs in files",
        "mmraw_protocol/files/validation.py",
        "return URL_HEAD.match(fields[0]) is not None",
        "return True",
        CHECK_TESTS,
    ),
    Guard(
        "keys of MessagePack files are strings",
        STREAM,
        'if level.is_at_key and token.kind != "text":',
        "if False:",
        PACK_TESTS,
    ),
    Guard(
        "nesting of MessagePack files",
        STREAM,
        "if len(self.levels) >= MAX_DEPTH:",
        "if False:",
        PACK_TESTS,
    ),
    Guard(
        "names in binary data of MessagePack files",
        "mmraw_protocol/stores/maintenance/references.py",
        "with_binary=True",
        "with_binary=False",
        f"{PACK_TESTS} -k fsck",
    ),
    Guard(
        "a broken table is an error of its own",
        "mmraw_protocol/wire/rows.py",
        "except (arrow.ArrowException, OSError):",
        "except OSError:",
        "tests/test_tables.py",
    ),
    Guard(
        "a worker that ends leaves its parent's copy of rows",
        "mmraw_protocol/integrations/indexed_rows.py",
        "if os.getpid() == process:",
        "if True:",
        ROW_TESTS,
    ),
    Guard(
        "nulls that Arrow adds to structs are no fields of a row",
        "mmraw_protocol/integrations/indexed_rows.py",
        " if child is not None}",
        "}",
        ROW_TESTS,
    ),
    Guard(
        "what describes a saved data set is no rollout",
        "mmraw_protocol/files/names.py",
        "return found if descriptions else _without_descriptions(found)",
        "return found",
        "tests/test_saved_data_sets.py",
    ),
    Guard(
        "prose that quotes a ref is no JSON",
        "mmraw_protocol/files/rewriting.py",
        "    if not is_document(said):\n        return\n",
        "",
        "tests/test_nested.py",
    ),
    Guard(
        "a done file of a folder is not done again",
        "mmraw_protocol/cli/rewriting.py",
        "left = [file for file in files if not _is_done(args, file)]",
        "left = list(files)",
        "tests/test_tables.py",
    ),
    Guard(
        "a file that is cut off is not whole",
        "mmraw_protocol/wire/compression.py",
        "                if self._member is not None:\n                    raise",
        "                if False:\n                    raise",
        "tests/test_compression.py",
    ),
    Guard(
        "files without anything are not rewritten",
        "mmraw_protocol/cli/rewriting.py",
        "if report.complete and (seen is None or args.allow_empty or is_along):",
        "if report.complete:",
        EMPTY_TESTS,
    ),
    Guard(
        "files without anything are no success",
        "mmraw_protocol/cli/validate.py",
        'is_empty = not summary["checked"] and not args.allow_empty',
        "is_empty = False",
        EMPTY_TESTS,
    ),
    Guard(
        "files of bare base64 are not passed over",
        "mmraw_protocol/files/jobs.py",
        "if key in BARE_KEYS and text.startswith(BARE_IMAGES):",
        "if False:",
        EMPTY_TESTS,
    ),
    Guard(
        "a store of no files at all is no success",
        "mmraw_protocol/stores/maintenance/fsck.py",
        "is_proven = bool(self.objects and (named or self.mentions))",
        "is_proven = True",
        EMPTY_TESTS,
    ),
    Guard(
        "streams end where the file does",
        f"{WIRE}/rows.py",
        "if self.file.read(1):",
        "if False:",
        f"{FORM_TESTS} -k one_behind",
    ),
    Guard(
        "Arrow files have one dictionary",
        "mmraw_protocol/files/tables.py",
        "last = self._with_dictionary_of(last, batch)",
        "last = batch",
        f"{FORM_TESTS} -k dictionaries",
    ),
    Guard(
        "the last line is checked where following ends",
        "mmraw_protocol/cli/validate.py",
        "if is_document(lines.rest):",
        "if False:",
        "tests/test_following.py -k without_end",
    ),
    Guard(
        "numbers that are not finite stand in JSON in strings",
        "mmraw_protocol/files/lines.py",
        "if not is_read and _NOT_FINITE.search(text):",
        "if False:",
        "tests/test_nested.py -k not_finite",
    ),
    Guard(
        "documents over many lines are checked each",
        "mmraw_protocol/files/checking.py",
        "return [one for one in found if one[1].strip()]",
        "return [(1, data)]",
        f"{CHECK_TESTS} -k over_many_lines",
    ),
    Guard(
        "refs in the strings of long documents",
        "mmraw_protocol/files/text_scanner.py",
        "if self._next_word(begin) >= end:",
        "if True:",
        LONG_TESTS,
    ),
    Guard(
        "refs across two parts of a long string",
        "mmraw_protocol/files/texts.py",
        "return end > len(text) - _LOOK_AHEAD",
        "return False",
        LONG_TESTS,
    ),
    Guard(
        "long lines behind the first are documents of their own",
        "mmraw_protocol/files/checking.py",
        "block.at == 0 and scanner.is_between",
        "scanner.is_between",
        f"{LONG_TESTS} -k first_line",
    ),
    Guard(
        "patterns without files are not passed over",
        "mmraw_protocol/cli/seen.py",
        "if 0 < len(without) < len(named) and not args.allow_empty:",
        "if False:",
        "tests/test_named_files.py -k beside_one",
    ),
]
