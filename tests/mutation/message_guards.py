"""Guards of the reader of messages: what looks like an image is read or rejected."""

from guard import Guard

READING, LOOKS, COLUMNS, FOUND = (
    f"mmraw_protocol/conversation/{name}.py" for name in ("reading", "looks", "columns", "found")
)
LOSSES, SPELLINGS = "tests/test_message_losses.py", "tests/test_message_spellings.py"
ROWS = "tests/test_row_losses.py"
REWRITTEN, CHECKED = "tests/test_rewritten_columns.py", "tests/test_checked_conversations.py"

GUARDS = [
    Guard(
        "answers beside a row's conversation are read",
        READING,
        "    return [first, *(name for name in read if name != first)] if lists else []\n",
        "    return [first] if lists else []\n",
        SPELLINGS,
    ),
    Guard(
        "a slot with a URL of its own is no slot",
        READING,
        " and not holds_url(rest)",
        "",
        SPELLINGS,
    ),
    Guard(
        "what cannot be looked into is rejected at any depth",
        LOOKS,
        " or _is_closed(value):\n",
        ":\n",
        LOSSES,
    ),
    Guard(
        "numbers of an image are known",
        LOOKS,
        "    return bytes(numbers) if is_bytes and len(numbers) >= _LEAST_NUMBERS else None\n",
        "    return None\n",
        f"{LOSSES} {SPELLINGS}",
    ),
    Guard(
        "a whole image in a column of any name is rejected",
        READING,
        " or holds_picture([*rest.values()])",
        "",
        ROWS,
    ),
    Guard(
        "a column that cannot be looked into is rejected",
        LOOKS,
        "is_unread(one) or ",
        "",
        ROWS,
    ),
    Guard(
        "messages under another key are found in lists of any kind",
        READING,
        "    rows = rows_of(value)\n    if rows is None:\n        return bool(",
        "    rows = items_of(value)\n    if rows is None:\n        return bool(",
        ROWS,
    ),
    Guard(
        "an orientation behind the picture of a PNG counts",
        "mmraw_protocol/images/preparing.py",
        "if late else data",
        "if False else data",
        "tests/test_preparing.py",
    ),
    Guard(
        "an entry of a column holds one image",
        COLUMNS,
        "looks_like_image(without_source(value, place.at), strict=True) is None",
        "True",
        SPELLINGS,
    ),
    Guard(
        "images of answers do not vanish where one list is made",
        FOUND,
        "            if image.path not in own:\n",
        "            if False:\n",
        f"{REWRITTEN} {SPELLINGS}",
    ),
    Guard(
        "keys of a slot stay where its image is a part",
        FOUND,
        '    return {**cast("Mapping[str, Any]", part), **kept}\n',
        "    return part\n",
        REWRITTEN,
    ),
    Guard(
        "a uuid in a conversation is the hash of its ref",
        "mmraw_protocol/files/validation.py",
        "        if ref is not None:\n",
        "        if False:\n",
        CHECKED,
    ),
    Guard(
        "a row of any length is checked as a conversation",
        "mmraw_protocol/files/objects.py",
        "            self._open[-1].marks |= _ROW\n",
        "            pass\n",
        CHECKED,
    ),
]
