"""Guards of refs as URLs: content parts, mm_refs, MessagePack, and what is made of messages."""

from guard import Guard
from places import WIRE

URLS, PARTS, REFS, PACK = (
    f"{WIRE}/image_urls.py",
    f"{WIRE}/content_parts.py",
    f"{WIRE}/mm_refs.py",
    f"{WIRE}/msgpack.py",
)
MADE, MOVED = (
    "mmraw_protocol/conversation/image_refs.py",
    "mmraw_protocol/conversation/url_conversion.py",
)
PART_TESTS, REF_TESTS = "tests/test_content_parts.py", "tests/test_mm_refs.py"
MESSAGE_TESTS, MOVE_TESTS = "tests/test_ref_messages.py", "tests/test_url_conversion.py"
FILE_TESTS = "tests/test_url_files.py"

GUARDS = [
    Guard(
        "a uuid beside a ref is its hash",
        PARTS,
        "uuid not in (None, mm_hash)",
        "False",
        PART_TESTS,
    ),
    Guard(
        "a video among content parts is rejected by name",
        PARTS,
        "    _check_media(document)\n",
        "",
        PART_TESTS,
    ),
    Guard(
        "an empty slot among content parts has its code",
        PARTS,
        '    check_slots(document, "$")\n',
        "",
        PART_TESTS,
    ),
    Guard(
        "a ref of a video is no image's URL",
        URLS,
        '        check_modality(ref.modality, "$")\n',
        "",
        PART_TESTS,
    ),
    Guard(
        "images by URLs are counted",
        URLS,
        "    check_count(len(urls), limits)\n",
        "",
        f"{PART_TESTS} {REF_TESTS}",
    ),
    Guard(
        "URLs are not longer than a body may be",
        URLS,
        "    if sum(map(len, urls)) > limits.features_bytes:\n",
        "    if False:\n",
        f"{PART_TESTS} {REF_TESTS}",
    ),
    Guard(
        "a text of URLs is not longer than a body may be",
        URLS,
        "        if len(given) > limits.features_bytes:\n",
        "        if False:\n",
        REF_TESTS + " -k bounds",
    ),
    Guard(
        "values of a struct are checked as they are",
        URLS,
        "    check_json_value(document)\n    return document",
        "    return document",
        f"{PART_TESTS} {REF_TESTS}",
    ),
    Guard(
        "spans of mm_refs do not overlap",
        REFS,
        "        if offset < end:\n",
        "        if False:\n",
        REF_TESTS,
    ),
    Guard(
        "nothing follows a MessagePack document",
        PACK,
        "    if reader.at != len(data):\n",
        "    if False:\n",
        REF_TESTS,
    ),
    Guard(
        "values of MessagePack are counted",
        PACK,
        "        if self._left < 0:\n",
        "        if False:\n",
        REF_TESTS,
    ),
    Guard(
        "MessagePack is not deep",
        PACK,
        "        if depth > _MAX_DEPTH:\n",
        "        if False:\n",
        REF_TESTS,
    ),
    Guard(
        "a key of MessagePack stands once",
        PACK,
        "            if key in found:\n",
        "            if False:\n",
        REF_TESTS,
    ),
    Guard(
        "refs of messages are read before anything is stored",
        MADE,
        "            _check_ref(image, limits)\n",
        "            pass\n",
        MESSAGE_TESTS,
    ),
    Guard(
        "a span belongs to the modality of its ref",
        MADE,
        "        if image.ref is not None and image.ref.modality != modality:\n",
        "        if False:\n",
        MESSAGE_TESTS,
    ),
    Guard(
        "a ref as a source is compared with its bytes",
        "mmraw_protocol/stores/verify.py",
        "    verify_source(ref, data)\n    return data",
        "    return data",
        f"{MESSAGE_TESTS} {FILE_TESTS}",
    ),
    Guard(
        "there is room for the tokens around a span",
        MOVED,
        "    spans_in_order(places, limits)\n    return",
        "    return",
        MOVE_TESTS,
    ),
    Guard(
        "one token stands only for a span that the ref gives",
        MOVED,
        "            if length != _num_tokens(ref, adapters):\n",
        "            if False:\n",
        MOVE_TESTS,
    ),
    Guard(
        "the images of other runs stay where they are",
        "mmraw_protocol/files/moving_images.py",
        "or not self._is_here(ref)",
        "",
        FILE_TESTS,
    ),
]
