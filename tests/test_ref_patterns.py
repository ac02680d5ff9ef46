"""Refs and rows that are judged together: the verdict of each is the one that it has by itself."""

import base64
import io
import json
import time
from typing import Any

import pytest
import samples
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mmraw_protocol import MMRawError
from mmraw_protocol.files import ConvertJob, OnError, Rewriter, rewrite
from mmraw_protocol.files.checking import check_lines
from mmraw_protocol.files.counts import Counts
from mmraw_protocol.files.reader import Block
from mmraw_protocol.files.validation import check_document, check_value
from mmraw_protocol.materialize.verification import Verifier
from mmraw_protocol.stores.convert import RefConverter
from mmraw_protocol.testing import refs, refused_refs
from mmraw_protocol.wire._generated.dialects import DIALECTS, WRITABLE

HEX = "0123456789abcdef"
OTHERS = str.maketrans(HEX, HEX[5:] + HEX[:5])
REF = samples.ref()
V3 = "mmraw:v3:"


def by_itself(text: str) -> bool:
    try:
        return not Verifier().verify_text(text)[1].faults
    except MMRawError:
        return False


def together(texts: list[str], verifier: Verifier | None = None) -> list[bool]:
    tails = [text.removeprefix("mmraw:").encode() for text in texts]
    doubtful = (verifier or Verifier()).doubtful(tails)
    return [tail not in doubtful for tail in tails]


def in_base64(data: bytes) -> str:
    return V3 + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


DIGEST, OTHER = samples.DIGEST, samples.DIGEST.translate(OTHERS)
DOCUMENT = json.dumps(samples.ref_fields(), sort_keys=True, separators=(",", ":")).encode()


@given(st.lists(st.sampled_from(WRITABLE).flatmap(refs) | refused_refs(), min_size=1, max_size=8))
@example([REF, samples.ref("v2")])
def test_refs_that_are_right_together_are_right_alone(texts: list[str]) -> None:
    verifier = Verifier()
    for _ in range(2):
        for text, is_right in zip(texts, together(texts, verifier), strict=True):
            assert not is_right or by_itself(text)


@pytest.mark.parametrize("dialect", WRITABLE)
@pytest.mark.parametrize("size", [16, 32, 64])
def test_refs_of_one_run_are_right_together(dialect: str, size: int) -> None:
    digests = [f"{number:064x}" for number in range(1, 40)]
    texts = [
        samples.ref(dialect, mm_hash=digest[-32:], raw_image_id=f"{digest[-32:]}.png")
        for digest in digests
    ]
    texts += [
        samples.ref(dialect, mm_hash=digest[:32], raw_image_id=f"{digest[:size]}.png")
        for digest in digests
    ]
    assert all(together(texts))


@pytest.mark.parametrize(
    "text",
    [
        REF + "A",
        REF + "=",
        V3,
        V3 + "AAAA",
        REF[:-1] + chr(ord(REF[-1]) + 1),
        in_base64(DOCUMENT + b"\0"),
        in_base64(samples.ref("v2").removeprefix("mmraw:").encode()),
        in_base64(b"x" + DOCUMENT[1:]),
        in_base64(DOCUMENT.replace(samples.DIGEST.encode(), b"g" * 32)),
        samples.ref(mm_hash=OTHER),
        samples.ref(mm_hash=DIGEST[:15] + "x" * 17, raw_image_id="photo.png"),
        samples.ref(raw_image_id=f"{DIGEST}{OTHER}.png", mm_hash=OTHER),
        samples.ref("v2").replace(":", "::", 1),
        samples.ref("v2") + ":",
    ],
)
def test_a_ref_among_others_is_not_judged_by_them(text: str) -> None:
    verifier = Verifier()
    for _ in range(2):
        assert together([REF, text, REF], verifier) == [True, False, True]
    assert not by_itself(text)


def test_zero_bytes_do_not_move_a_verdict_to_another_ref() -> None:
    two = in_base64(DOCUMENT + b"\0" + DOCUMENT)
    assert together([REF, two, REF]) == [True, False, True]
    assert together([REF, V3 + "AAAA", two, V3 + "AAAA"]) == [True, False, False, False]


@given(st.data(), st.sampled_from([*DIALECTS]), st.sampled_from(WRITABLE))
def test_what_is_converted_by_its_pattern_is_what_it_is_alone(
    data: Any, source: str, to: str
) -> None:
    first = data.draw(refs(source))
    assume(len(first) < 4000)
    many = RefConverter(to, samples.RUN_ID)
    hashes = [f"{number:032x}" for number in (10**30, 10**31, 7 * 10**30)]
    texts = [first, *(samples.ref(mm_hash=h, raw_image_id=f"{h}.png") for h in hashes), first]
    for text in texts:
        results: list[Any] = []
        for converter in (many, RefConverter(to, samples.RUN_ID)):
            try:
                results.append(converter.convert(text))
            except MMRawError as error:
                results.append((error.code, error.path, error.message))
        assert results[0] == results[1]


ROWS = [
    {"id": 1, "ref": REF},
    {"id": 2, "reward": 0.125, "meta": {"steps": [1, 2]}, "refs": [REF, samples.ref("v2")]},
    {"text": "nothing"},
    {"ref": "mmraw:v9:x"},
    {"ref": REF, "cut": REF[:-3]},
    {REF: "a key"},
    {"images": []},
    {"role": "user", "content": REF},
    {"messages": [{"role": "user", "content": [{"type": "image", "image": REF}]}]},
    {"nested": json.dumps({"ref": REF})},
    {"nested": " [1, 2]"},
    {"placed": [[[REF, 0, 4]]]},
    {"content_parts": [{"type": "image", "url": REF}]},
    samples.envelope(),
    samples.features(REF),
    {"odd": "mmfile:x"},
]
LINES = [
    *(json.dumps(row) for row in ROWS),
    REF,
    f'"{REF}"',
    "",
    "  ",
    '{"a":1',
    '{"a":1} {"b":2}',
    '{"a":1,"a":2}',
    f'{{"a":"x"{REF}"}}',
    f'{{"a":"{REF}',
    f'{{"a":"{REF[:20]}\x01"}}',
    '{"a":12345678901234567890}',
    '{"a":1e999}',
    '{"a":1e3}',
    '{"a":NaN}',
    "[1]",
    "[" * 300 + "]" * 300,
]


@given(st.lists(st.sampled_from(LINES) | st.just(LINES[0]), max_size=40))
@example([LINES[0]] * 40)
@example(LINES)
@example([LINES[0], '{"a":1} {"b":2}', LINES[0]])
def test_lines_are_judged_together_as_each_is_alone(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    alone = Counts()
    for number, line in enumerate(data.split(b"\n"), 1):
        for finding in check_document(line.strip()) if line.strip() else ():
            alone.add(number, finding)
    assert check_lines(Block(data, 1, True), Verifier()) == alone


class OneByOne:
    """A job that converts ref by ref."""

    def open(self) -> Rewriter:
        rewriter: Any = ConvertJob(run_id=samples.RUN_ID).open()
        del rewriter.rewrite_together
        return rewriter


def converted(job: Any, data: bytes, on_error: OnError) -> Any:
    out: list[bytes] = []
    try:
        read = io.BytesIO(data).read
        # Patterns of one block are used for the next one.
        report = rewrite(read, out.append, job, on_error=on_error, block=600)
    except MMRawError as error:
        return error.code, error.message
    return (b"".join(out), report) if report.complete else (report.counts, report.refusals)


V2 = samples.ref("v2")
OLD_LINES = [
    *(line.replace(REF, V2) for line in LINES[:-12]),
    json.dumps({"runless": samples.ref("v3-runless"), "v1": samples.ref("v1")}),
    json.dumps({"bare": samples.ref("unversioned-uri")}),
    f'{{"a":"{V2[:20]}\x01"}}',
    f'{{"a":"{V2}\u00e9"}}',
]


@given(
    st.lists(st.sampled_from(OLD_LINES) | st.just(OLD_LINES[0]), max_size=40),
    st.sampled_from(["keep", "fail"]),
)
@example([OLD_LINES[0]] * 40, "keep")
@example([OLD_LINES[0], OLD_LINES[3], OLD_LINES[4]], "keep")
def test_lines_are_converted_together_as_each_is_alone(lines: list[str], on_error: OnError) -> None:
    data = "\n".join(lines).encode()
    together = converted(ConvertJob(run_id=samples.RUN_ID), data, on_error)
    assert together == converted(OneByOne(), data, on_error)


TEXTS = [REF, V2, REF[:-3], "plain", "mmfile:x", json.dumps([REF]), None, f"{V2} ", "é"]


@given(st.lists(st.sampled_from(TEXTS) | st.just(REF), max_size=200), st.booleans())
@example([REF] * 100, True)
@example([REF] * 100, False)
def test_columns_are_checked_and_converted_as_each_value_is_alone(
    texts: list[str | None], is_binary: bool
) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    from mmraw_protocol.files.batches import convert_batch, validate_batch

    kind = arrow.binary() if is_binary else arrow.string()
    ref = arrow.array([text and text.encode() for text in texts], arrow.binary()).cast(kind)
    batch = arrow.RecordBatch.from_arrays([ref], names=["ref"])
    alone = Counts()
    for row, text in enumerate(texts):
        for finding in check_value({"ref": text}):
            alone.add(row, finding)
    rows = validate_batch(batch).to_pylist()
    counts: dict[str, int] = {}
    for one in rows:
        counts[one["kind"]] = counts.get(one["kind"], 0) + one["count"]
    assert counts == alone.counts
    refused = [(one["row"], one["code"]) for one in rows if one["code"]]
    assert sorted(refused)[:100] == [(one.line, one.code) for one in alone.refusals]
    new, _ = convert_batch(batch)
    one_by_one = [
        convert_batch(arrow.RecordBatch.from_arrays([ref.slice(row, 1)], names=["ref"])).rows
        for row in range(len(texts))
    ]
    assert new.to_pylist() == [part.to_pylist()[0] for part in one_by_one]


def test_a_block_of_many_refused_refs_takes_no_more_time_than_small_ones() -> None:
    size = 4 << 20
    data = json.dumps(["x" * size, *["mmraw:v9:x"] * 10_000]).encode()
    start = time.process_time()
    job = ConvertJob(to="v3")
    report = rewrite(io.BytesIO(data).read, len, job, on_error="keep", block=2 * size)
    assert report.refused == {"unsupported_dialect": 10_000}
    assert [one.byte for one in report.refusals[:2]] == [size + 6, size + 20]
    # It takes 5 s if the place of each is looked for, of which only the first are named.
    assert time.process_time() - start < 2
