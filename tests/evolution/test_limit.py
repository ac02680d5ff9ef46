"""A limit: spec/limits.json, and the bounds that state it, are edited."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from checkout import REF, Checkout, Refusal, json_ref

LIMITS = "spec/limits.json"
BOUNDS = "spec/common/v1.schema.json"


def raise_limit(document: dict[str, Any]) -> None:
    document["limits"]["name_chars"]["default"] = 160


def raise_bounds(document: dict[str, Any]) -> None:
    for node in document["$defs"].values():
        if node.get("x-mmraw-limit") == "name_chars":
            node["maxLength"] = 160


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("limit"))
    original = checkout.read(LIMITS)
    # Neither edit alone is taken.
    checkout.edit(LIMITS, raise_limit)
    assert_refused(checkout, "maxLength must be 160, the default of the limit name_chars")
    checkout.write(LIMITS, original)
    checkout.edit(BOUNDS, raise_bounds)
    assert_refused(checkout, "maxLength must be 128, the default of the limit name_chars")
    checkout.edit(LIMITS, raise_limit)
    checkout.make()
    yield checkout
    checkout.close()


def assert_refused(checkout: Checkout, reason: str) -> None:
    for arguments in ([], ["--check"]):
        code, message = checkout.codegen(*arguments)
        assert code == 2
        assert f"common/v1.schema.json#/$defs/RunId: {reason}" in message


def test_only_the_limit_and_its_bounds_are_edited(checkout: Checkout) -> None:
    assert checkout.edited() == {LIMITS, BOUNDS}
    assert checkout.codegen("--check") == (0, "")


@pytest.mark.parametrize("name", ["run_id", "family", "modality"])
def test_both_languages_read_and_write_up_to_the_new_limit(checkout: Checkout, name: str) -> None:
    fields = {**REF, "family": "another", name: "a" * 160}
    text = json_ref(fields)
    assert checkout.ask("parse_ref", ref=text) == {"dialect": "v3", "fields": fields}
    assert checkout.ask("format_ref", fields=fields, dialect="v3") == {"ref": text}
    older = checkout.ask("convert_ref", ref=text, to="v2")["ref"]
    assert checkout.ask("convert_ref", ref=older, to="v3") == {"ref": text}


@pytest.mark.parametrize("name", ["run_id", "family", "modality"])
def test_both_languages_refuse_what_is_longer(checkout: Checkout, name: str) -> None:
    fields = {**REF, name: "a" * 161}
    refusal = Refusal("limit_exceeded", f"$.{name}")
    assert checkout.ask("parse_ref", ref=json_ref(fields)) == refusal
    assert checkout.ask("format_ref", fields=fields, dialect="v3") == refusal


def test_messages_name_the_new_limit(checkout: Checkout) -> None:
    text = json_ref({**REF, "run_id": "a b"})
    code = "from mmraw_protocol import MMRawError, parse_ref\n"
    code += (
        f"try:\n    parse_ref({text!r})\nexcept MMRawError as error:\n    result = error.message"
    )
    assert checkout.python(code).startswith("expected 1 to 160 of ")
    code = "let result;\n"
    code += f"try {{ mmraw.parseRef({text!r}); }} catch (error) {{ result = error.reason; }}"
    assert checkout.typescript(code).startswith("expected 1 to 160 of ")


def test_strategies_know_it(checkout: Checkout) -> None:
    refused = "refused_documents('RefV3')"
    assert checkout.find(refused, "len(str(value.get('run_id'))) == 161")


def test_schemas_prose_reference_and_the_inspector_know_it(checkout: Checkout) -> None:
    assert '"maxLength": 160' in checkout.mmraw("schema", "common:v1")
    assert checkout.allows("ref-v3", {**REF, "run_id": "a" * 160})
    assert not checkout.allows("ref-v3", {**REF, "run_id": "a" * 161})
    prose = checkout.read("spec/README.md")
    assert "1*160(" in prose
    assert not re.search(r"1\*128\(|at most 128", prose)
    assert "Default: **160** characters" in checkout.read("docs/reference/wire/limits.md")
    assert "string of at most 160 characters" in checkout.read("docs/reference/wire/common-v1.md")
    assert "1 to 160 of A-Z" in checkout.inspector
    assert "1 to 128 of A-Z" not in checkout.inspector
