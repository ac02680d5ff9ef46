"""Messages of errors: what was expected and what kind of thing was got, never its content."""

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import samples

from mmraw_protocol import MMRawError, parse_features, wire
from mmraw_protocol.images import ImageSource
from mmraw_protocol.wire._generated.limits import DEFAULT_LIMITS
from mmraw_protocol.wire.base64 import decode_base64, decode_base64url, encode_base64
from mmraw_protocol.wire.check import Rule, expected, string
from mmraw_protocol.wire.errors import ERRORS
from mmraw_protocol.wire.json import parse_json
from mmraw_protocol.wire.ref import parse_ref

PACKAGE = Path(wire.__file__).parent.parent
#: Nothing of it may be repeated.
SECRET = "Kp7-secret"
FIELDS = sorted(samples.ref_fields())


def error_of(text: str) -> MMRawError:
    """Why a ref is rejected."""
    with pytest.raises(MMRawError) as caught:
        parse_ref(text)
    message = caught.value.message
    assert len(message) <= 200
    assert message.isascii()
    assert message.isprintable()
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "a boolean"),
        (7, "an integer"),
        (1.5, "a float"),
        ([SECRET], "an array of 1 values"),
        ({SECRET: SECRET}, "an object of 1 fields"),
    ],
)
@pytest.mark.parametrize("field", ["family", "fingerprint", "mm_hash", "run_id"])
def test_the_type_and_the_length_that_were_got(field: str, value: Any, kind: str) -> None:
    error = error_of(samples.v3_text({**samples.ref_fields(), field: value}))
    assert error.path == f"$.{field}"
    assert error.message.startswith("expected ")
    assert error.message.endswith(f", got {kind}")


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_is_repeated(field: str) -> None:
    error = error_of(samples.v3_text({**samples.ref_fields(), field: f"{SECRET}/{SECRET}" * 9}))
    assert error.path.startswith(f"$.{field}")
    if field in ("fingerprint", "mm_hash", "family", "run_id"):
        assert "got a string of 189 characters" in error.message


def test_the_fields_that_are_allowed() -> None:
    error = error_of(samples.v3_text({**samples.ref_fields(), SECRET: 1}))
    assert error.message == "expected no other fields than " + ", ".join(
        sorted([*FIELDS, "raw_uri"])
    )
    assert error_of(samples.v3_text({"family": "qwen_vl"})).message.startswith("expected field ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("e30=", "padding at character 4"),
        ("e3\n0", "a line break at character 3"),
        ("e3 0", "a blank at character 3"),
        ("+30A", "a letter of the standard alphabet at character 1"),
        ("e3...", "dots, as where a text was cut off, at character 3"),
        ("e3%2F", "a percent escape at character 3"),
        ('e30"', "a quote at character 4"),
        ("e3\\/", "an escape at character 3"),
        ("e3,0", "a character of no alphabet at character 3"),
        ("e3é0", "a character beyond ASCII at character 3"),
        ("e30ee", "5 characters, which is no length of it"),
        ("e31", "stray bits in the last character, 3"),
    ],
)
def test_base64url_is_told_by_kind_and_place(text: str, told: str) -> None:
    with pytest.raises(MMRawError, match=f"expected base64url without padding; got {told}"):
        decode_base64url(text)
    with pytest.raises(MMRawError, match="got "):
        decode_base64url(f"mmraw:{text}", start=6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("e30", "3 characters, which is no length of it"),
        ("e3=0", "padding at character 3"),
        ("e_0=", "a letter of the URL alphabet at character 2"),
        ("e31=", "stray bits before the padding, at character 3"),
        ("ex==", "stray bits before the padding, at character 2"),
    ],
)
def test_standard_base64_is_told_by_kind_and_place(text: str, told: str) -> None:
    with pytest.raises(MMRawError, match=f"expected standard base64 with padding; got {told}"):
        decode_base64(text)
    assert decode_base64(encode_base64(b"{}")) == b"{}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1', "one that is cut off after 7 bytes"),
        ('{"a": 1,}', "something else at byte 9"),
        ("{'a': 1}", "something else at byte 2"),
        ('{"a": NaN}', "something else at byte 7"),
        ("[1] [2]", "something else at byte 5"),
    ],
)
def test_json_is_told_by_place(text: str, told: str) -> None:
    for given in (text, text.encode()):
        with pytest.raises(MMRawError, match=f"expected a valid JSON document; got {told}$"):
            parse_json(given)


def test_each_case_of_a_remedy_is_one_that_errors_name() -> None:
    sources = [path.read_text() for path in PACKAGE.rglob("*.py") if "_generated" not in str(path)]
    for code, info in ERRORS.items():
        for words, remedy in info.cases.items():
            # A message may be put together of several.
            for part in words.split("; got "):
                assert any(part in text for text in sources), f"{code}: {part}"
            assert MMRawError(cast(Any, code), f"x {words} y").remedy == remedy != info.remedy
        assert MMRawError(cast(Any, code), "nothing of it").remedy == info.remedy


def test_remedies_follow_the_case() -> None:
    ref = samples.ref()
    assert "Take the `=` off" in error_of(ref + "==").remedy
    assert error_of(ref[:-2]).remedy.startswith("Copy the whole ")
    with pytest.raises(MMRawError) as caught:
        decode_base64("e3=0")
    assert caught.value.remedy.startswith("Re-encode")


def test_the_tags_that_are_read() -> None:
    message = error_of("mmraw:v9:e30").message
    assert message == "expected one of the tags v1, v2, v3 after mmraw:, got another"


def test_a_message_has_at_most_200_characters() -> None:
    words = "x" * (200 - len("expected , got null"))
    assert expected(words, None) == f"expected {words}, got null"
    assert expected(f"{words}x", None) == f"expected {words}x"


def test_the_longest_string_of_a_rule_is_allowed() -> None:
    check = string(Rule("invalid_value", "up to three letters"), "", longest=3)
    check("abc", "$", DEFAULT_LIMITS)
    with pytest.raises(MMRawError, match="got a string of 4 characters"):
        check("abcd", "$", DEFAULT_LIMITS)


def test_counts_and_sizes_that_were_got() -> None:
    assert error_of("mmraw:v2:exp42:qwen_vl").message.endswith("parts after mmraw:v2:, got 2")
    assert error_of("x" * 9).message.endswith("got a text of 9 characters")
    body = samples.features(samples.ref())
    body["mm_hashes"]["image"] *= 2
    with pytest.raises(MMRawError) as caught:
        parse_features(body)
    assert caught.value.message == "expected 1 values as in kwargs_data, got 2"
    small = msgspec.structs.replace(DEFAULT_LIMITS, inline_image_bytes=9, image_side=9)
    with pytest.raises(MMRawError, match=rf"at most 9 bytes, got {len(samples.PNG)}$"):
        ImageSource.open(samples.PNG, limits=small)
    small = msgspec.structs.replace(DEFAULT_LIMITS, image_side=9)
    with pytest.raises(MMRawError, match=r"sides of at most 9 pixels, got 101 x 67$"):
        ImageSource.open(samples.PNG, limits=small).header  # noqa: B018
