"""One document in two spellings: the same value, or the same error.

A canonical ref of a built-in family has a reader of its own; a blank behind its JSON sends it to
the strict reader. Each property counts that both were taken.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import samples
from hypothesis import example, given
from hypothesis import strategies as st
from routes import counted, takes

from mmraw_protocol import (
    DEFAULT_LIMITS,
    Limits,
    MMRawError,
    parse_item,
    parse_ref,
)
from mmraw_protocol.testing import items, ref_fields, ref_text, refs
from mmraw_protocol.wire.base64 import encode_base64
from mmraw_protocol.wire.json import TENSOR_KEYS

#: Tight, and yet wide enough for the names of families, and so for the reader of canonical texts.
TIGHT = Limits(
    name_chars=9,
    raw_image_id_bytes=36,
    grid_patches=40_000,
    inline_image_bytes=40,
    payload_depth=3,
)
LIMITS = st.sampled_from([DEFAULT_LIMITS, TIGHT])


def outcome(work: Callable[[], Any]) -> Any:
    """The value as text, in which 1, 1.0 and True differ; or code, path and message."""
    caught: MMRawError | None = None
    try:
        return repr(work())
    except MMRawError as error:
        caught = error
    assert caught.__context__ is None
    # Positions are those of the spelling at hand.
    return (
        caught.code,
        caught.path,
        re.sub(r"(after|at byte|character) \d+", r"\1 N", caught.message),
    )


def both(text: str, dialect: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The outcome of a ref, after it was found to be that of its other spelling."""
    found = outcome(lambda: parse_ref(text, limits=limits))
    other = samples.respelled(text, dialect)
    assert outcome(lambda: parse_ref(other, limits=limits)) == found
    return found


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@takes("canonical", "strict")
@given(data=st.data(), limits=LIMITS)
def test_a_ref_has_one_value_in_every_spelling(
    dialect: str, data: st.DataObject, limits: Limits
) -> None:
    both(data.draw(refs(dialect)), dialect, limits)


LABEL, INLINE, KIMI = samples.LABEL, samples.INLINE, samples.payload("kimi_k25")
#: Values that stand where another belongs, or may stand there.
ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            None, True, 0, -1, 1.0, 2**53, "", ".", "..", "run_x", "run_run_x", ".x", "-x.png",
            "con.png", "COM1.png", "com10.png", "lpt9", "nul.tar.gz", "x" * 129, "x" * 256,
            "a" * 200 + ".png", "A" * 32, "a" * 15, "a" * 129, "0" * 64, "é", "a b", "a\n", 'a"b',
            "a\\b", "a.", "abcde.", [], {}, LABEL, LABEL.replace("67f4", "77f4"), LABEL + "?x",
            "file://localhost" + LABEL[7:], LABEL.replace("data", "~d"), "file:///" + samples.NAME,
            LABEL.replace("data", "d a"), LABEL.replace("data", "é"), "file:///" + "x" * 4096,
            LABEL.replace("data", "x" * 4060), INLINE, INLINE.replace("o=", "p="), INLINE + "=",
            INLINE.replace("png", "tiff"), "data:image/png;base64,",
            "data:image/png;base64,iVBORw0KGgoAAAA=", KIMI, {"grid_thws": [[1, 4, 4]]},
            {"grid_thws": [[1, 4, 4]], "num_media_tokens": 2**21}, {"num_media_tokens": 1},
            {"image_grid_thw": [[1, 16, 18]]}, {"image_grid_thw": [[1, 3, 4]]},
            {"image_grid_thw": [[1, 4, 3]]}, {"image_grid_thw": [[1, 2048, 2048]]},
            {"image_grid_thw": [[2**53, 2, 2]]}, {"image_grid_thw": [[1, 2.0, 2]]},
            {"image_grid_thw": [[1, 2, 2], [1, 2, 2]]}, {"image_grid_thw": [[0, 2, 2]]},
            {"image_grid_thw": [[1, 2, 2]], "x": 1}, {"image_grid_thw": [[1, 2]]},
            {"pixel_values": 1},
        ]
    ),
    st.text(max_size=4),
)  # fmt: skip


@takes("canonical", "strict")
@given(
    changes=st.dictionaries(
        st.sampled_from([*samples.ref_fields(), "raw_uri", "dialect", "other"]), ODD, max_size=3
    )
    | st.just({}),
    absent=st.just(set()) | st.sets(st.sampled_from(sorted(samples.ref_fields())), max_size=1),
    family=st.sampled_from(["qwen_vl", "kimi_k25"]),
    limits=LIMITS,
)
@example({}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({}, set(), "kimi_k25", DEFAULT_LIMITS)
@example({"raw_uri": LABEL}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"raw_uri": LABEL, "raw_image_id": "cat.png"}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"raw_uri": LABEL}, {"raw_image_id"}, "qwen_vl", DEFAULT_LIMITS)
@example({"raw_uri": INLINE}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"raw_uri": INLINE, "run_id": INLINE}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"run_id": INLINE}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"raw_uri": "", "run_id": INLINE}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"raw_uri": None}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"raw_image_id": None}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"family": "kimi_k25"}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"family": "other"}, set(), "qwen_vl", DEFAULT_LIMITS)
@example({"dialect": "v3"}, set(), "qwen_vl", DEFAULT_LIMITS)
def test_odd_fields_mean_the_same_in_every_spelling(
    changes: dict[str, Any], absent: set[str], family: str, limits: Limits
) -> None:
    fields = samples.ref_fields(family=family) | changes
    document = {name: value for name, value in fields.items() if name not in absent}
    both(samples.v3_text(document), "v3", limits)


#: Names of stored images and whether they are safe: Windows takes some for devices.
NAMES = {
    "com1.png": False, "COM9": False, "con": False, "Con.tar.gz": False, "prn.png": False,
    "aux.png": False, "nul.png": False, "lpt1.png": False, "com0.png": True, "com10.png": True,
    "console.png": True, "acom1.png": True, "com1_png": True, ".png": False, "-a.png": False,
    "a.png.": False, "a": True, "_": True, "a..png": True, "a/b.png": False, "a\\b.png": False,
    "é.png": False, "a\n": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@pytest.mark.parametrize("name", NAMES)
def test_names_of_stored_images_are_safe_in_every_spelling(name: str, dialect: str) -> None:
    if dialect == "v2" and not name.isascii():
        return
    found = both(samples.ref(dialect, raw_image_id=name), dialect)
    if NAMES[name]:
        assert repr(name) in found
    else:
        assert found[:2] == ("invalid_raw_image_id", "$.raw_image_id")


#: Labels of runs, and what readers make of them.
RUNS = {
    "exp42": "exp42", "run_exp42": "exp42", "run_": None, "run_run_x": None, ".": None, "..": None,
    "...": "...", "run_.": None, "xrun_": "xrun_", "": None, "a b": None, "a:b": None,
}  # fmt: skip


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@pytest.mark.parametrize("label", RUNS)
def test_one_run_prefix_is_stripped_in_every_spelling(label: str, dialect: str) -> None:
    if dialect == "v2" and ":" in label:
        return
    text = samples.ref(dialect, run_id=label)
    found = both(text, dialect)
    if RUNS[label] is None:
        assert found[:2] == ("invalid_run_id", "$.run_id")
    else:
        assert parse_ref(text).run_id == RUNS[label]


#: Grids, token counts, and the codes that reject them.
PAYLOADS: list[tuple[str, Any, str | None]] = [
    ("qwen_vl", {"image_grid_thw": [[1, 2, 2]]}, None),
    ("qwen_vl", {"image_grid_thw": [[3, 2, 2]]}, None),
    ("qwen_vl", {"image_grid_thw": [[1, 3, 2]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[1, 2, 3]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[1, 1024, 1024]]}, None),
    ("qwen_vl", {"image_grid_thw": [[1, 1024, 1026]]}, "limit_exceeded"),
    ("qwen_vl", {"image_grid_thw": [[2, 1024, 1024]]}, "limit_exceeded"),
    ("qwen_vl", {"image_grid_thw": [[0, 2, 2]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[1, 2, -2]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[1, 2, 2.0]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[True, 2, 2]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[1, 2, 2], [1, 2, 2]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": []}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": [[1, 2]]}, "invalid_grid"),
    ("qwen_vl", {"image_grid_thw": "1x2x2"}, "invalid_grid"),
    ("qwen_vl", {}, "missing_field"),
    ("qwen_vl", [], "invalid_type"),
    ("qwen_vl", "1x2x2", "invalid_type"),
    ("qwen_vl", {"image_grid_thw": [[1, 2, 2]], "x": 1}, "unknown_field"),
    ("kimi_k25", {"grid_thws": [[1, 2, 2]]}, None),
    ("kimi_k25", {"grid_thws": [[1, 2, 2]], "num_media_tokens": 1}, None),
    ("kimi_k25", {"grid_thws": [[1, 2, 2]], "num_media_tokens": 2**20}, None),
    ("kimi_k25", {"grid_thws": [[1, 2, 2]], "num_media_tokens": 2**20 + 1}, "invalid_value"),
    ("kimi_k25", {"grid_thws": [[1, 2, 2]], "num_media_tokens": 0}, "invalid_value"),
    ("kimi_k25", {"grid_thws": [[1, 2, 2]], "num_media_tokens": True}, "invalid_type"),
    ("kimi_k25", {"grid_thws": [[1, 3, 2]]}, "invalid_grid"),
    ("kimi_k25", {"grid_thws": [[1, 2, 3]]}, "invalid_grid"),
    ("kimi_k25", {"grid_thws": [[1, 1024, 1026]]}, "limit_exceeded"),
    ("kimi_k25", {"image_grid_thw": [[1, 2, 2]]}, "unknown_field"),
]


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@pytest.mark.parametrize(("family", "payload", "code"), PAYLOADS)
def test_payloads_keep_the_rules_of_their_family_in_every_spelling(
    family: str, payload: Any, code: str | None, dialect: str
) -> None:
    with counted() as taken:
        found = both(samples.ref(dialect, family, payload=payload), dialect)
    assert taken["canonical"] == (code is None)
    assert code is None or (found[0], found[1][:9]) == (code, "$.payload")


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@pytest.mark.parametrize("payload", [[], "text", 1, True])
def test_a_payload_of_any_other_family_is_an_object(payload: Any, dialect: str) -> None:
    found = both(samples.ref(dialect, "other", payload=payload), dialect)
    assert found[:2] == ("invalid_type", "$.payload")


@pytest.mark.parametrize(("family", "payload", "code"), PAYLOADS)
def test_payloads_of_envelopes_keep_the_rules_of_their_family(
    family: str, payload: Any, code: str | None
) -> None:
    item = samples.envelope(family=family, payload=payload)
    with counted() as taken:
        found = outcome(lambda: parse_item(item))
    assert outcome(lambda: parse_item(json.dumps(item))) == found
    assert taken["struct"] == (code is None)
    assert code is None or (found[0], found[1][:9]) == (code, "$.payload")


#: Pieces of JSON that another reader might take for the same, or for something else.
SPLICES = (
    '"run_id":"exp42",', '"run_id":"other",', '"raw_uri":null,', '"family":"kimi_k25",',
    '"mm_hash":"00000000000000000000000000000000",', '"unknown":1,', '"r\\u0075n_id":"other",', " ",
    "\\u0065", "\\", '"', ",", "é", "\ud800", "1", ".0", "e0", "-", "null", "{}", "[", "}", "\x00",
)  # fmt: skip
CANONICAL = json.dumps(samples.ref_fields(), sort_keys=True, separators=(",", ":"))


@takes("strict")
@given(
    st.lists(
        st.tuples(st.integers(0, len(CANONICAL)), st.sampled_from(SPLICES), st.integers(0, 3)),
        min_size=1,
        max_size=2,
    )
)
@example([(1, '"run_id":"exp42",', 0)])
@example([(1, '"run_id":"other",', 0), (CANONICAL.index('"raw_image_id"'), "", 38)])
def test_spliced_json_means_the_same_in_every_spelling(splices: list[tuple[int, str, int]]) -> None:
    text = CANONICAL
    for at, piece, cut in splices:
        text = text[:at] + piece + text[at + cut :]
    both("mmraw:v3:" + samples.encoded(text), "v3")


@takes("struct", "item")
@given(item=items(), limits=LIMITS)
def test_an_envelope_has_one_value_as_text_and_as_object(
    item: dict[str, Any], limits: Limits
) -> None:
    found = outcome(lambda: parse_item(item, limits=limits))
    assert outcome(lambda: parse_item(json.dumps(item), limits=limits)) == found


@takes("struct", "item")
@given(
    changes=st.dictionaries(
        st.sampled_from([*samples.envelope(), "raw_uri", "vllm_modality", "raw_ref", "other"]),
        ODD,
        max_size=2,
    )
    | st.just({}),
    absent=st.just(set()) | st.sets(st.sampled_from(sorted(samples.envelope())), max_size=1),
    family=st.sampled_from(["qwen_vl", "kimi_k25"]),
)
@example({"raw_uri": INLINE}, set(), "qwen_vl")
@example({"raw_uri": LABEL}, set(), "qwen_vl")
@example({"raw_uri": LABEL, "raw_image_id": "cat.png"}, set(), "qwen_vl")
@example({"vllm_modality": ""}, set(), "qwen_vl")
@example({"_prime_rl_image_ref": "raw_image"}, set(), "kimi_k25")
def test_odd_envelopes_mean_the_same_as_text_and_as_object(
    changes: dict[str, Any], absent: set[str], family: str
) -> None:
    item = samples.envelope(family=family) | changes
    item = {name: value for name, value in item.items() if name not in absent}
    found = outcome(lambda: parse_item(item))
    text = outcome(lambda: parse_item(json.dumps(item)))
    if TENSOR_KEYS & json.loads(json.dumps(item)).keys() or 2**53 in item.values():
        assert isinstance(found, tuple)
        assert isinstance(text, tuple)
    else:
        assert text == found


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("image", [bytes(range(256)) * 300, bytes(76_800)], ids=["any", "zeros"])
@pytest.mark.parametrize("at", [0, 1, 30, 50_000, 65_535, 98_303, 102_399])
def test_a_long_image_is_broken_in_every_spelling(stored: bool, image: bytes, at: int) -> None:
    """Padding in it may stand where a reader ends a piece: bytes of zeros would be lost."""
    text = encode_base64(image)
    for base64 in (text, text[:at] + "?" + text[at + 1 :], text[:at] + "=" + text[at + 1 :]):
        fields = samples.ref_fields(raw_uri="data:image/png;base64," + base64)
        if not stored:
            del fields["raw_image_id"]
        with counted() as taken:
            found = both(samples.v3_text(fields), "v3")
        # Of zeros, padding at the end is sound.
        is_sound = base64 == text or (base64.endswith("=") and not any(image))
        assert taken["canonical"] == is_sound
        assert is_sound or found[0] == "invalid_base64"


@pytest.mark.parametrize("dialect", ["v3", "v2"])
@given(data=st.data())
def test_keys_may_stand_in_any_order(dialect: str, data: st.DataObject) -> None:
    fields = data.draw(ref_fields(dialect))
    present = {name: value for name, value in fields.items() if value is not None}
    canonical = parse_ref(ref_text(fields, dialect))
    if dialect == "v3":
        text = json.dumps(dict(reversed(present.items())), ensure_ascii=False, indent=1)
        assert parse_ref("mmraw:v3:" + samples.encoded(text)) == canonical
    else:
        backwards = dict(reversed(present["payload"].items()))
        text = ref_text({**present, "payload": {}}, dialect).rpartition(":")[0]
        assert parse_ref(f"{text}:{samples.encoded(json.dumps(backwards))}") == canonical


@pytest.mark.parametrize("payload", ['{"image_grid_thw":[[1,2,2]],"image_grid_thw":[[1,2,2]]}'])
def test_a_duplicate_key_in_the_payload_of_v2_is_rejected(payload: str) -> None:
    text = samples.ref("v2").rpartition(":")[0] + ":" + samples.encoded(payload)
    assert both(text, "v2")[:2] == ("duplicate_key", "$.payload")
