"""An optional field of refs and of envelopes: the schemas of the dialect alone are edited."""

from collections.abc import Iterator
from typing import Any

import pytest
from checkout import ITEM, REF, Checkout, Refusal, json_ref

SHA512 = {
    "title": "Longer digest",
    "description": "The sha512 of the encoded image bytes.",
    "type": "string",
    "pattern": "^[a-f0-9]{128}$",
    "x-mmraw-hint": "128 lower-case hex digits",
}
REMARK = {
    "title": "Remark",
    "description": "What a person says of the image.",
    "type": "string",
    "x-mmraw-hint": "a string",
}
DIGEST = "5" * 128
NEW: dict[str, Any] = {"remark": 'Zoë: "a cup"', "sha512": DIGEST}
INLINE = {**NEW, "raw_uri": f"data:image/png;base64,{'iVBO' * 9000}"}


def add(document: dict[str, Any], definition: str, **fields: Any) -> None:
    properties = document["$defs"][definition]["properties"]
    properties |= fields
    document["$defs"][definition]["properties"] = dict(sorted(properties.items()))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("field"))
    checkout.edit(
        "spec/ref/v3.schema.json", lambda it: add(it, "RefV3", sha512=SHA512, remark=REMARK)
    )
    checkout.edit("spec/item/v1.schema.json", lambda it: add(it, "ItemV1", remark=REMARK))
    checkout.make()
    yield checkout
    checkout.close()


def test_only_the_schemas_of_the_dialect_are_edited(checkout: Checkout) -> None:
    assert checkout.edited() == {"spec/ref/v3.schema.json", "spec/item/v1.schema.json"}
    assert checkout.codegen("--check") == (0, "")


@pytest.mark.parametrize("family", ["qwen_vl", "another"])
@pytest.mark.parametrize("new", [NEW, {"sha512": DIGEST}, {"remark": ""}, {}, INLINE])
def test_both_languages_read_it_and_write_it_canonically(
    checkout: Checkout, family: str, new: dict[str, Any]
) -> None:
    fields = {**REF, "family": family, **new}
    text = json_ref(fields)
    assert checkout.ask("parse_ref", ref=text) == {"dialect": "v3", "fields": fields}
    assert checkout.ask("format_ref", fields=fields, dialect="v3") == {"ref": text}
    assert checkout.ask("convert_ref", ref=text, to="v3") == {"ref": text}


def test_the_model_has_it(checkout: Checkout) -> None:
    texts = [json_ref({**REF, **NEW}), json_ref(REF)]
    expected = [[DIGEST, texts[0]], [None, texts[1]]]
    code = "from mmraw_protocol import format_ref, parse_ref\n"
    code += f"refs = [parse_ref(text) for text in {texts}]\n"
    assert checkout.python(f"{code}result = [(r.sha512, format_ref(r)) for r in refs]") == expected
    code = f"const refs = {texts}.map((text) => mmraw.parseRef(text));\n"
    code += "const result = refs.map((ref) => [ref.sha512, mmraw.formatRef(ref)]);"
    assert checkout.typescript(code) == expected


@pytest.mark.parametrize("to", ["v2", "v3-runless"])
@pytest.mark.parametrize("name", sorted(NEW))
def test_a_dialect_without_it_refuses_the_conversion_and_names_it(
    checkout: Checkout, name: str, to: str
) -> None:
    text = json_ref({**REF, name: NEW[name]})
    refused = checkout.ask("convert_ref", ref=text, to=to, run_id="exp42")
    assert refused == Refusal("not_convertible", f"$.{name}")


def test_a_ref_that_lacks_it_is_converted_both_ways(checkout: Checkout) -> None:
    text = json_ref(REF)
    older = checkout.ask("convert_ref", ref=text, to="v2")["ref"]
    assert older.startswith("mmraw:v2:")
    assert checkout.ask("convert_ref", ref=older, to="v3") == {"ref": text}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("sha512", "5" * 127, "invalid_value"),
        ("sha512", DIGEST + "\n", "invalid_value"),
        ("sha512", 5, "invalid_type"),
        ("sha512", None, "invalid_type"),
        ("remark", 5, "invalid_type"),
        ("remark", None, "invalid_type"),
    ],
)
def test_its_rule_is_enforced(checkout: Checkout, name: str, value: Any, code: str) -> None:
    fields = {**REF, name: value}
    refusal = Refusal(code, f"$.{name}")
    assert checkout.ask("parse_ref", ref=json_ref(fields)) == refusal
    assert checkout.ask("format_ref", fields=fields, dialect="v3") == refusal


@pytest.mark.parametrize("family", ["qwen_vl", "another"])
def test_it_survives_in_envelopes(checkout: Checkout, family: str) -> None:
    item = {**ITEM, "family": family, "remark": "a cup"}
    assert checkout.ask("parse_item", item=item) == {"item": item}
    assert checkout.ask("parse_item", item={**item, "remark": 5}) == Refusal(
        "invalid_type", "$.remark"
    )


def test_strategies_generate_it(checkout: Checkout) -> None:
    assert checkout.find("refs('v3')", "parse_ref(value).sha512 is not None")
    assert checkout.find("items('v1')", "parse_item(value).remark")["remark"]
    assert checkout.find("refused_documents('RefV3')", "value.get('sha512') == []")


def test_the_command_line_knows_it(checkout: Checkout) -> None:
    assert "sha512 of the encoded" in checkout.mmraw("inspect", json_ref({**REF, **NEW}))
    assert '"sha512"' in checkout.mmraw("schema", "urn:mmraw:ref:v3")


def test_the_bundled_schemas_know_it(checkout: Checkout) -> None:
    assert checkout.allows("ref-v3", {**REF, **NEW})
    assert not checkout.allows("ref-v3", {**REF, "sha512": "5" * 127})
    assert checkout.allows("item-v1", {**ITEM, "remark": ""})


def test_the_reference_and_the_inspector_explain_it(checkout: Checkout) -> None:
    assert "| `sha512` | string matching" in checkout.read("docs/reference/wire/ref-v3.md")
    assert "| `remark` | string |" in checkout.read("docs/reference/wire/item-v1.md")
    assert SHA512["description"] in checkout.inspector
    code = f"const [found] = inspector.inspectText({json_ref({**REF, **NEW})!r});\n"
    code += "const result = found.fields.map(({ name, title }) => [name, title]);"
    assert ["sha512", "Longer digest"] in checkout.typescript(code)
