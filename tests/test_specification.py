"""The specification's prose says what its schemas, its limits and the package say."""

import re
from pathlib import Path

import pytest

from mmraw_protocol import MMRawError, get_adapter, parse_ref
from mmraw_protocol.conformance.operations import OPERATIONS
from mmraw_protocol.wire._generated.dialects import DEFAULT_DIALECT, DIALECTS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire._generated.limits import DEFAULT_LIMITS
from mmraw_protocol.wire.data_url import LABEL_CHARACTERS
from mmraw_protocol.wire.schemas import schemas

PROSE = (Path(__file__).parent.parent / "spec" / "README.md").read_text("utf-8")


def section(title: str) -> str:
    """The text under a heading of the specification."""
    return PROSE.split(f"\n## {title}\n")[1].split("\n## ")[0]


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
def test_the_fingerprints_of_the_defaults_stand_there(scheme: str, dialect: str) -> None:
    assert DIALECTS[dialect].fingerprint_scheme == scheme
    table = [row for row in rows(section("Fingerprint")) if len(row) == 4]
    column = table[0].index(scheme)
    for row in table[1:]:
        if row[column] != "-":
            assert row[column] == get_adapter(row[0]).fingerprint(dialect)


def test_every_preset_stands_there_with_its_fingerprint() -> None:
    told = {
        (row[0], name): row[3] for row in rows(section("Layout")) for name in row[1].split(", ")
    }
    for family, info in FAMILIES.items():
        for preset, parameters in info.presets.items():
            assert told[family, preset] == get_adapter(family, parameters).fingerprint()


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
