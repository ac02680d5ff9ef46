"""Refs within the strings of documents of any size: found as in short ones, wherever parts end."""

import io
import json
import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from routes import ENOUGH, SHARE, examples
from test_archives import report

from mmraw_protocol import convert_ref
from mmraw_protocol.files import check, check_stream, text_scanner
from mmraw_protocol.files.texts import TextParts, TextRef, find_refs
from mmraw_protocol.files.validation import check_document

REF, BAD = samples.ref(), "mmraw:v9:abc"
V1 = convert_ref(REF, "v1")
WRAPPED = "\n".join(REF[at : at + 40] for at in range(0, len(REF), 40))

pieces = st.sampled_from(
    [
        *(REF, REF[:-3], V1, V1[:-1], BAD, "mmfile:v1:abc/def", WRAPPED, quote(V1, safe="")),
        *(json.dumps({"a": V1}), json.dumps([REF]), json.dumps(json.dumps({"a": [V1, REF]}))),
        *("mmraw", "mmraw:", "mmraw:v3:", "mmraw:{", "mmraw%3A", "m", "mm", "prime_raw_mm_item"),
        *(" ", ", ", ": ", "\n", "\n\n", '"', "'", "{", "}", "[", "\\", "/", "..", ".", "\t"),
        *("sent ", "word\nword\nword", "é", "…", "😀", "a" * 70, "b" * 300, "\\u006d", " \\/ "),
    ]
)
texts = st.lists(pieces, max_size=7).map("".join)
long_strings = texts.map(lambda text: f"a log {'x' * 300}: {text}")
strings = st.one_of(texts, long_strings)
documents = st.recursive(
    strings,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["a", "kind", "content_parts", "mm_refs", REF]), inner, max_size=3
        ),
        st.fixed_dictionaries({"mm_hashes": inner, "kwargs_data": inner}),
        inner.map(lambda one: [{"role": "user", "content": one}]),
        inner.map(json.dumps),
    ),
    max_leaves=8,
)


def reader(data: bytes, seed: int | None = None) -> Callable[[int], bytes]:
    file, sizes = io.BytesIO(data), random.Random(seed)
    if seed is None:
        return file.read
    return lambda size: file.read(min(size, sizes.choice([1, 5, 17, 100, 300])))


def spelt(document: Any, escapes: random.Random | None, *, ascii_only: bool) -> bytes:
    """A document as JSON, some of its letters and slashes as escapes."""
    text = json.dumps(document, ensure_ascii=ascii_only)
    if escapes is not None:
        other = {"m": "\\u006d", "w": "\\u0077", "/": "\\/", ":": "\\u003A"}
        for char, escape in other.items():
            # What stands behind a backslash is part of an escape.
            parts = text.split(char)
            text = parts[0]
            for part in parts[1:]:
                is_free = not text.endswith("\\") and escapes.random() < 0.2
                is_structure = char == ":" and text.endswith('"')
                text += (escape if is_free and not is_structure else char) + part
    return text.encode()


def findings(found: Any) -> list[tuple[str, str | None]]:
    return sorted((one.kind, (one.error and one.error.code) or "") for one in found)


@pytest.fixture(scope="module", autouse=True)
def short_parts() -> Any:
    """Makes strings of over 200 bytes long ones, which are looked through in parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_scanner, "LONG_TEXT", 200)
        yield


def ref_of_part(scanner: text_scanner.TextScanner) -> Any:
    """What gives the refs of a long string, and counts them."""
    taken[0] += 1
    return give(scanner)


taken, give = [0], text_scanner.TextScanner._ref_in_text


@given(
    st.lists(st.one_of(long_strings, documents), min_size=1, max_size=4),
    st.one_of(st.none(), st.randoms()),
    st.booleans(),
    st.integers(),
)
def stream_is_like_a_short_document(
    document: Any, escapes: random.Random | None, ascii_only: bool, seed: int
) -> None:
    data = spelt(document, escapes, ascii_only=ascii_only)
    expected = findings(check_document(data))
    assert findings(one for _, one in check_stream(reader(data, seed))) == expected


def test_a_stream_finds_what_a_short_document_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_scanner.TextScanner, "_ref_in_text", ref_of_part)
    taken[0] = 0
    with examples(stream_is_like_a_short_document) as tried:
        stream_is_like_a_short_document()
    assert tried[0] < ENOUGH or taken[0] * SHARE > tried[0], (
        f"too few refs stood in long strings: {taken} of {tried}"
    )


@given(st.lists(pieces, max_size=12).map("".join), st.lists(st.integers(0, 3000), max_size=5))
def test_parts_of_a_text_have_the_refs_of_the_whole(text: str, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    assert refs_in_parts(text, ends) == refs_of(find_refs(text))


def refs_in_parts(text: str, ends: list[int]) -> list[Any]:
    parts, found, start = TextParts(1 << 20), [], 0
    for end in ends:
        found += parts.take(text[start:end], is_last=end == len(text))
        start = end
    assert "".join(piece for piece, _ in found) == text
    assert all(len(piece) == one.end - one.start for piece, one in found if one)
    return refs_of(one for _, one in found if one)


def refs_of(found: Iterable[TextRef]) -> list[Any]:
    return [(one.ref, one.end - one.start, one.escapes, one.percent) for one in found]


@pytest.mark.parametrize("ref", [REF, V1, WRAPPED, quote(V1, safe="")])
def test_a_ref_across_two_parts_is_found_once(ref: str) -> None:
    text = f"sent {ref}\n, then {BAD}"
    data = json.dumps(["x" * 300 + text]).encode()
    for size in range(1, len(ref) + 110):
        pieces = iter([data[: 302 + size], data[302 + size :]])
        found = [one for _, one in check_stream(lambda _, pieces=pieces: next(pieces, b""))]
        codes = [one.error and one.error.code for one in found]
        assert codes == [one.error and one.error.code for one in check_document(data)]
        assert len(codes) == 2
    whole = refs_of(find_refs(text))
    assert all(refs_in_parts(text, [end, len(text)]) == whole for end in range(len(text)))


@pytest.mark.parametrize("text", ["é\n", "😀\\", "…"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_parts_end_between_characters(text: str, ascii_only: bool) -> None:
    data = json.dumps(["mmraw " + text * 200 + REF], ensure_ascii=ascii_only).encode()
    for size in range(280, 300):
        file = io.BytesIO(data)
        found = check_stream(lambda _, file=file, size=size: file.read(size))
        assert findings(one for _, one in found) == [("ref", "")]


def test_a_ref_that_never_ends_is_refused_and_what_follows_is_found() -> None:
    parts, found = TextParts(1000), []
    for part in ["a mmraw:{ ", *["b" * 100] * 30, f" {REF} "]:
        found += parts.take(part, is_last=False)
    found += parts.take("", is_last=True)
    first, second = (one for _, one in found if one)
    assert (len(first.ref) > 1000, second.ref) == (True, REF)


#: With it, a document is longer than what is held as a whole.
PAD = "x" * 9_000_000


def documents_with_refs() -> dict[str, Any]:
    """Refs wherever strings have them: three good ones, and one with a fault."""
    return {
        "event": f"sent {REF} to server",
        "pad": PAD,
        "rows": [{"said": json.dumps({"log": [f"= {REF}, and {json.dumps(V1)}"]})}],
        "last": f"{BAD[:6]}v9:abc is no ref",
        REF: "keys are passed over",
    }


@pytest.mark.parametrize("form", ["line", "among lines", "indented", "msgpack"])
def test_refs_in_strings_are_found_in_documents_of_any_length(form: str) -> None:
    document = documents_with_refs()
    data = json.dumps(document, indent=1 if form == "indented" else None).encode()
    if form == "msgpack":
        data = msgspec.msgpack.encode(document)
    if form == "among lines":
        data = b"{}\n" + data + b"\n{}"
    checked = check(reader(data))
    assert (checked.counts, checked.refused) == ({"ref": 4}, {"unsupported_dialect": 1})
    lines = {"indented": 9, "among lines": 2}
    assert checked.refusals[0].line == lines.get(form, 1)


def test_a_ref_in_a_string_of_any_length_is_found_in_little_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"log": "'
        for _ in range(100):
            yield rb"a line of a log\n and \u00e9 " * 35_000
        yield f" {REF} ".encode()
        yield b"\\/" * 500_000
        yield f"'{BAD}'\"}}".encode()

    parts = chunks()
    list(check_stream(reader(b'["mmraw"]')))
    tracemalloc.start()
    found = findings(one for _, one in check_stream(lambda size: next(parts, b"")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [("ref", ""), ("ref", "unsupported_dialect")]
    assert peak < 30_000_000 < 100 * 1_000_000 / 3


@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_line_of_a_document_may_have_any_length(processes: int) -> None:
    first, rest = f'{{"pad": "{PAD}",', f'"a": "{REF}",\n "b": "= {BAD}"\n}}\n[\n"{REF}"]\n'
    checked = check(reader(f"{first}\n{rest}".encode()), processes=processes)
    assert (checked.counts, checked.refused) == ({"ref": 3}, {"unsupported_dialect": 1})
    assert checked.refusals[0].line == 3
    # What it may be is said by its own brackets, as of a short one.
    for end, codes in (('"}', []), ("", ["invalid_json"]), ('"}}', ["invalid_json"])):
        checked = check(reader(f'{{"pad": "{PAD}{end}\n["{REF}"]'.encode()), processes=processes)
        assert [one.code for one in checked.refusals] == codes
        assert checked.counts["ref"] == 1
    # Another line is one by itself.
    checked = check(reader(f'[]\n{{"pad": "{PAD}"\n["{REF}"]'.encode()), processes=processes)
    assert checked.counts == {"document": 1, "ref": 1}


def test_inspect_finds_refs_in_the_strings_of_a_document_of_any_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.json"
    file.write_text(json.dumps(documents_with_refs()))
    found = report(capsys, "inspect", file, code=1)["things"]
    assert [one["ok"] for one in found] == [True, True, True, False]
