"""Documents of any size: found strings are rewritten, every other byte stays."""

import contextlib
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmraw_protocol import MMRawError
from mmraw_protocol.files import Report, StringPrefixes, rewrite

#: Texts that the rewriter below looks for; the same letters also occur elsewhere.
HEAD = "mm:"


class Shout:
    """Gives every string that begins with `mm:` in upper case; refuses `mm:no`."""

    def __init__(self, *, identity: bool = False, most: int = 1 << 20) -> None:
        self.identity = identity
        self.most = most
        self.prefixes = StringPrefixes([HEAD], keys=True, bare=[HEAD])
        self.seen: list[tuple[str, str | None]] = []

    def open(self) -> "Shout":
        return self

    def rewrite(self, text: str, key: str | None) -> str:
        self.seen.append((text, key))
        if text.startswith("mm:no"):
            raise MMRawError("not_a_ref", "no")
        return text if self.identity else new_text(text)

    def drain_stats(self) -> list[tuple[str, int]]:
        return []


def new_text(text: str) -> str:
    return text.upper() + "\u00e4"


def walked(value: Any) -> Any:
    """Returns what the rewritten document must say."""
    if isinstance(value, str):
        return new_text(value) if value.startswith(HEAD) else value
    if isinstance(value, list):
        return [walked(one) for one in value]
    if isinstance(value, dict):
        return {key: walked(one) for key, one in value.items()}
    return value


def reader(data: bytes, seed: int | None = None) -> Callable[[int], bytes]:
    """A file; with a seed it gives pieces of random sizes, as pipes do."""
    file = io.BytesIO(data)
    if seed is None:
        return file.read
    sizes = random.Random(seed)
    return lambda size: file.read(min(size, sizes.choice([1, 2, 3, 7, 64, 1000])))


def rewritten(data: bytes, job: Shout | None = None, **options: Any) -> tuple[bytes, Report]:
    out = io.BytesIO()
    seed = options.pop("seed", None)
    report = rewrite(reader(data, seed), out.write, job or Shout(), **options)
    return out.getvalue(), report


texts = st.one_of(
    st.text(max_size=8),
    st.text(max_size=20).map(lambda text: HEAD + text.replace("no", "")),
    st.sampled_from(['"mm:', "\\", '\\"mm:x"', "mm", "m", ",", "]}", "\ud800", "\u00e9" * 70]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=30,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, Any]:
    """A document as one of many writers spells it, and what it says."""
    value = draw(values)
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()) or "\\ud8" in json.dumps(value),
        indent=draw(st.sampled_from([None, 0, 2])),
        separators=draw(st.sampled_from([None, (",", ":"), (" , ", "\t: ")])),
    )
    spelling = draw(st.sampled_from(["", "m", ":", "/"]))
    if spelling == "m":
        text = text.replace("m", "\\u006D")
    elif spelling == ":" and '": "' not in text:
        text = text.replace("mm:", "mm\\u003a")
    elif spelling == "/":
        text = text.replace("/", "\\/")
    return text.encode("utf-8"), value


def same(one: Any, other: Any) -> bool:
    """Equality that takes NaN for itself."""
    return json.dumps(one) == json.dumps(other)


@given(documents(), st.integers())
def test_what_is_not_changed_stays_to_the_byte(document: tuple[bytes, Any], seed: int) -> None:
    data, _ = document
    out, report = rewritten(data, Shout(identity=True), on_error="keep", seed=seed)
    assert out == data
    assert report.bytes_read == report.bytes_written == len(data)
    assert report.changed == 0


@given(documents(), st.integers())
def test_strings_are_rewritten_wherever_they_stand(document: tuple[bytes, Any], seed: int) -> None:
    data, value = document
    out, report = rewritten(data)
    assert same(json.loads(out), walked(value))
    assert report.complete
    assert rewritten(data, seed=seed)[0] == out
    # A document that spans lines, or follows another one, says the same.
    assert rewritten(b"[\n" + data + b"\n]\n")[0] == b"[\n" + out + b"\n]\n"
    twice = rewritten(data + b"\n[\n\n]\n" + data + b"\n", seed=seed)
    assert twice[0] == out + b"\n[\n\n]\n" + out + b"\n"
    assert twice[1].changed == 2 * report.changed


@given(documents(), st.integers())
def test_lines_and_streams_see_the_same_strings_and_keys(
    document: tuple[bytes, Any], seed: int
) -> None:
    data, _ = document
    by_lines, by_stream = Shout(), Shout()
    rewritten(data, by_lines)
    rewritten(b"[\n" + data + b"\n]", by_stream, seed=seed)
    assert by_lines.seen == by_stream.seen


@given(documents(), st.data())
def test_a_document_cut_off_is_refused(document: tuple[bytes, Any], data: st.DataObject) -> None:
    whole = document[0]
    cut = whole[: data.draw(st.integers(0, max(0, len(whole) - 1)))]
    try:
        json.loads(cut.decode("utf-8"))
    except ValueError:
        if cut.strip(b" \t\r\n"):
            with pytest.raises(MMRawError) as caught:
                rewritten(cut, seed=data.draw(st.integers()))
            assert caught.value.code in ("invalid_json", "invalid_encoding")


@given(documents(), st.data())
def test_one_wrong_byte_is_refused_where_a_json_reader_refuses_it(
    document: tuple[bytes, Any], data: st.DataObject
) -> None:
    whole = bytearray(document[0])
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.sampled_from(list(b'",:[]{}\\mx1-.eE \n\x00\xff')))
    for variant in (bytes(whole), b"[\n" + bytes(whole) + b"\n]"):
        expected: Any = ...
        with contextlib.suppress(ValueError, RecursionError):
            expected = walked(json.loads(variant.decode("utf-8")))
        try:
            out, _ = rewritten(variant, seed=data.draw(st.integers()), on_error="keep")
        except MMRawError:
            assert expected is ...
        else:
            lines = [line for line in variant.split(b"\n") if line.strip()]
            if expected is ...:
                # Not one document; then it is many, each on its own line or lines.
                assert len(lines) > 1 or lines == [] or variant.lstrip().startswith(b"mm:")
            elif b"mm:no" not in variant:
                assert same(json.loads(out), expected)


@pytest.mark.parametrize(
    "text",
    ["[1,]", '{"a":1,}', "[1 2]", "{1:2}", '{"a" 1}', "01", "1.", "nul", "+1", "[1}", "]", '"\\x"',
     '"\\u12"', '"\n"', "[1]]", "{} {}", '"a""b"', "[\x0b1]", '{"a"}', "'a'", "NaNa", "mm:a mm:b",
     "[mm:a]"],
)  # fmt: skip
def test_what_is_no_json_is_refused(text: str) -> None:
    refused = 0
    for variant in (text, f"[\n{text}\n]", f'{{"x":\n{text}\n}}', f"1\n{text}\n2"):
        for seed in (None, 1):
            with contextlib.suppress(MMRawError):
                rewritten(variant.encode(), seed=seed)
                continue
            refused += 1
    # A line of refs without quotes is taken by the line, whatever stands behind the first.
    assert refused == (4 if text == "mm:a mm:b" else 8)


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(MMRawError, match="line 3, byte 7"):
        rewritten(b'{"a":1}\n\n{"a": tru}\n')
    with pytest.raises(MMRawError, match="byte order mark"):
        rewritten(b"\xef\xbb\xbf{}")
    with pytest.raises(MMRawError, match="deep"):
        rewritten(b"[" * 300 + b"]" * 300)
    _, report = rewritten(b'1\n["mm:a", "mm:no"]\n["mm:b"]\n')
    assert not report.complete
    (place,) = report.refusals
    assert (place.line, place.byte, place.code) == (2, 10, "not_a_ref")
    out, report = rewritten(b'1\n["mm:a",\n "mm:no"]\n["mm:b"]\n', on_error="keep")
    assert out == b'1\n["MM:A\\u00e4",\n "mm:no"]\n["MM:B\\u00e4"]\n'
    (place,) = report.refusals
    assert (place.line, place.byte) == (3, 2)
    assert (report.changed, report.refused) == (2, {"not_a_ref": 1})


def test_keys_are_no_strings_to_rewrite_but_are_told() -> None:
    job = Shout()
    data = b'{"mm:key" : {"a\\u0062\\"": "mm:1", "x": ["mm:2"], "y"\n:\n"mm:3"}}'
    assert b'"mm:key"' in rewritten(data, job)[0]
    assert job.seen == [("mm:1", 'ab"'), ("mm:2", None), ("mm:3", "y")]


def test_a_line_may_be_a_ref_without_quotes() -> None:
    data = b'mm:a\r\n"mm:b"\n\n{"c": "mm:d"}\n  mm:e'
    expected = 'MM:A\u00e4\r\n"MM:B\u00e4"\n\n{"c": "MM:D\u00e4"}\n  MM:E\u00e4'

    class Plain(Shout):
        def rewrite(self, text: str, key: str | None) -> str:
            return text.upper()

    plain = expected.replace("\u00e4", "").encode()
    assert rewritten(data, Plain())[0] == plain
    assert rewritten(data, Plain(), seed=3)[0] == plain
    assert rewritten(data.replace(b"  mm:e", b"mm:e"), Plain(), seed=3)[0] == plain.replace(
        b"  M", b"M"
    )


def test_a_string_beyond_the_limit_is_refused_and_passed_on() -> None:
    for data in (b'["mm:' + b"x" * 5000 + b'", 1]', b'[\n"mm:' + b"x" * 5000 + b'", 1]'):
        out, report = rewritten(data, Shout(most=1000), on_error="keep", seed=5)
        assert out == data
        assert report.refused == {"limit_exceeded": 1}


def test_a_long_document_takes_little_memory() -> None:
    import tracemalloc

    def parts() -> Iterator[bytes]:
        yield b'[\n"'
        for _ in range(10):
            yield b"a long string that is no ref " * 20_000
        yield b'"'
        for number in range(40):
            yield b',\n{"r": "mm:%d", "ids": [%s]}' % (number, b"151655, " * 20_000 + b"1")
        yield b"]"

    pieces = parts()
    tracemalloc.start()
    report = rewrite(lambda size: next(pieces, b""), lambda data: None, Shout())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.changed == 40
    assert report.bytes_read > 12_000_000
    assert peak < 6_000_000
