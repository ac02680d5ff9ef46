"""The specification's prose says what its schemas, its limits and the package say."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from mmraw_protocol import MMRawError, get_adapter, parse_ref
from mmraw_protocol.conformance.operations import OPERATIONS
from mmraw_protocol.families.fingerprint import fingerprint_text
from mmraw_protocol.wire._generated.dialects import DEFAULT_DIALECT, DIALECTS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire._generated.limits import DEFAULT_LIMITS
from mmraw_protocol.wire.data_url import LABEL_CHARACTERS
from mmraw_protocol.wire.ref import check_raw_image_id
from mmraw_protocol.wire.schemas import schemas

ROOT = Path(__file__).parent.parent
PROSE = (ROOT / "spec/README.md").read_text("utf-8")


def section(title: str) -> str:
    """The text under a heading of the specification."""
    return PROSE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def page(family: str) -> str:
    """The text about fingerprints on a family's page."""
    text = (ROOT / f"docs/reference/families/{family}.md").read_text("utf-8")
    return text.split("\n## Fingerprints\n")[1].split("\n## ")[0]


def text_of_defaults(family: str, dialect: str) -> str:
    """Returns the text over which the fingerprint of a family's defaults is computed."""
    defaults = msgspec.structs.asdict(FAMILIES[family].layout())
    return fingerprint_text(family, defaults, dialect)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, but for the ruler."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_limit_stands_there_with_its_default() -> None:
    told: dict[str, int] = {}
    for name, default, _ in rows(section("Limits"))[1:]:
        told[name.strip("`")] = int(default.split(" ")[0].replace(",", ""))
    assert told == {
        name: getattr(DEFAULT_LIMITS, name) for name in DEFAULT_LIMITS.__struct_fields__
    }


def test_every_dialect_stands_there_with_who_writes_it() -> None:
    told = {row[0]: row[2] for row in rows(section("Dialects"))[1:]}
    assert told == {
        name: "by default"
        if name == DEFAULT_DIALECT
        else ("yes" if wire.write else "by conversion")
        for name, wire in DIALECTS.items()
    }


def test_every_operation_of_the_conformance_protocol_stands_there() -> None:
    told = {row[0] for row in rows(section("Conformance"))}
    assert set(OPERATIONS) <= told


@pytest.mark.parametrize(
    ("scheme", "dialect"), [("v1", "v3"), ("unversioned", "unversioned-uri"), ("positional", "v1")]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_of_a_family_has_the_fingerprints_of_its_defaults(
    family: str, scheme: str, dialect: str
) -> None:
    assert DIALECTS[dialect].fingerprint_scheme == scheme
    told = {row[0]: row[1:] for row in rows(page(family))}
    if dialect == "v1" and not FAMILIES[family].fingerprint_order:
        assert scheme not in told
        return
    fingerprint, text = (cell.strip("`") for cell in told[scheme])
    assert fingerprint == get_adapter(family).fingerprint(dialect)
    assert text == text_of_defaults(family, dialect)


@pytest.mark.parametrize(
    ("scheme", "dialect"), [("v1", "v3"), ("unversioned", "unversioned-uri"), ("positional", "v1")]
)
def test_the_prose_has_one_fingerprint_of_each_scheme_with_its_text(
    scheme: str, dialect: str
) -> None:
    assert f"`{get_adapter('qwen_vl').fingerprint(dialect)}` ({scheme})" in section("Fingerprint")
    assert f"\n    {text_of_defaults('qwen_vl', dialect)}\n" in section("Fingerprint")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_of_a_family_has_every_preset_with_its_fingerprint(family: str) -> None:
    told = {name: row[2] for row in rows(page(family)) for name in row[0].split(", ")}
    for preset, parameters in FAMILIES[family].presets.items():
        assert told[preset] == f"`{get_adapter(family, parameters).fingerprint()}`"


def test_the_prose_has_every_code_that_a_vector_expects() -> None:
    vectors = (ROOT / "spec/vectors").glob("*.jsonl")
    lines = (line for path in vectors for line in path.read_text("utf-8").splitlines())
    wanted = {fields["error"]["code"] for fields in map(json.loads, lines) if "error" in fields}
    assert {code for code in wanted if not re.search(rf"\b{code}\b", PROSE)} == set()


def test_the_prose_has_the_names_that_windows_reserves() -> None:
    (row,) = (row for row in rows(section("Fields")) if row[0] == "raw_image_id")
    for name in ("CON", "PRN", "AUX", "NUL", "COM1", "COM9", "LPT1", "LPT9"):
        assert f"`{name}`" in row[2]
        with pytest.raises(MMRawError, match=row[3]):
            check_raw_image_id(f"{name}.png")


def test_a_label_is_as_long_as_its_schema_allows() -> None:
    label = schemas()["urn:mmraw:common:v1"]["$defs"]["FileUri"]
    assert f"A `file:` label has at most {label['maxLength']} characters." in section("Fields")


def test_a_label_has_the_characters_of_its_grammar() -> None:
    grammar = section("Fields").split("label-char       =")[1].split("\n\n")[0]
    told = set(re.findall(r'"(.)"', grammar)) | {"/"}
    assert told == {chr(code) for code in LABEL_CHARACTERS if not chr(code).isalnum()} | {"/"}


def test_a_run_label_is_counted_with_its_prefix() -> None:
    rest = ":qwen_vl:c2f096345b0d84e6bd2ee38b815cc329:image:67f463a70fcc80e6b6c13d2563a723f2:a.png:"
    payload = "eyJpbWFnZV9ncmlkX3RodyI6W1sxLDE2LDE2XV19"
    assert "at most 128 with its run_" in section("Refs")
    assert parse_ref(f"mmraw:v2:run_{'a' * 124}{rest}{payload}").run_id == "a" * 124
    with pytest.raises(MMRawError, match="limit_exceeded"):
        parse_ref(f"mmraw:v2:run_{'a' * 125}{rest}{payload}")
