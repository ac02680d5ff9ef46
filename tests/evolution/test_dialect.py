"""A dialect that is written: one schema is added. Where it becomes the default, a mark is moved."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from checkout import ITEM, REF, Checkout, Refusal, json_ref

OLD = "spec/ref/v3.schema.json"
SCHEMA = "spec/ref/v4.schema.json"
SHA256 = {
    "title": "Whole digest",
    "description": "The sha256 of the encoded image bytes.",
    "type": "string",
    "pattern": "^[a-f0-9]{64}$",
    "x-mmraw-hint": "64 lower-case hex digits",
}
NEW = {**REF, "sha256": "5" * 64}
INLINE = {"raw_uri": f"data:image/png;base64,{'iVBO' * 9000}"}


def v4(v3: str, *, default: bool) -> str:
    """The schema of a dialect with one more required field than v3."""
    document = json.loads(v3.replace("mmraw:v3:", "mmraw:v4:").replace(":ref:v3", ":ref:v4"))
    node = document["$defs"].pop("RefV3")
    node["required"].append("sha256")
    node["properties"]["sha256"] = SHA256
    node["x-mmraw-wire"]["dialect"] = "v4"
    if not default:
        del node["x-mmraw-default"]
    node["examples"] = [NEW]
    node["title"] = document["title"] = "Ref, dialect v4"
    document |= {"$ref": "#/$defs/RefV4", "$defs": {"RefV4": node}}
    return json.dumps(document, indent=2)


@pytest.fixture(scope="module", params=["v3", "v4"])
def default(request: pytest.FixtureRequest) -> str:
    """The dialect that is written by default."""
    return request.param


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, default: str) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("dialect"))
    checkout.write(SCHEMA, v4(checkout.read(OLD), default=default == "v4"))
    if default == "v4":
        checkout.edit(OLD, lambda it: it["$defs"]["RefV3"].pop("x-mmraw-default"))
    checkout.make()
    yield checkout
    checkout.close()


def v4_ref(**fields: Any) -> str:
    return json_ref({**NEW, **fields}, "mmraw:v4:")


def test_only_its_schema_is_written(checkout: Checkout, default: str) -> None:
    assert checkout.edited() == ({SCHEMA} if default == "v3" else {SCHEMA, OLD})
    assert checkout.codegen("--check") == (0, "")


@pytest.mark.parametrize("family", ["qwen_vl", "another"])
@pytest.mark.parametrize("source", [{}, INLINE])
def test_both_languages_read_it_and_write_it_canonically(
    checkout: Checkout, family: str, source: dict[str, Any]
) -> None:
    for dialect, fields in (("v3", REF), ("v4", NEW)):
        fields = {**fields, "family": family, **source}
        text = json_ref(fields, f"mmraw:{dialect}:")
        assert checkout.ask("parse_ref", ref=text) == {"dialect": dialect, "fields": fields}
        assert checkout.ask("format_ref", fields=fields, dialect=dialect) == {"ref": text}
        assert checkout.ask("convert_ref", ref=text, to=dialect) == {"ref": text}


def test_the_default_is_written_where_none_is_named(checkout: Checkout, default: str) -> None:
    text = json_ref(REF) if default == "v3" else v4_ref()
    code = "from mmraw_protocol import format_ref, parse_ref, wire\n"
    code += "from mmraw_protocol.wire._generated.dialects import DEFAULT_DIALECT, WRITABLE\n"
    code += f"result = [format_ref(parse_ref({text!r})), DEFAULT_DIALECT, sorted(WRITABLE)]"
    expected = [text, default, ["v2", "v3", "v4"]]
    assert checkout.python(code) == expected
    code = f"const text = mmraw.formatRef(mmraw.parseRef({text!r}));\n"
    code += "const result = [text, mmraw.DEFAULT_DIALECT, [...mmraw.WRITABLE].sort()];"
    assert checkout.typescript(code) == expected


@pytest.mark.parametrize("older", ["v2", "v3", "v3-runless"])
def test_a_dialect_without_the_new_field_refuses_and_names_it(
    checkout: Checkout, older: str
) -> None:
    refused = checkout.ask("convert_ref", ref=v4_ref(), to=older, run_id="exp42")
    assert refused == Refusal("not_convertible", "$.sha256")


def test_a_ref_that_lacks_the_new_field_is_refused_and_it_is_named(checkout: Checkout) -> None:
    refusal = Refusal("not_convertible", "$.sha256")
    older = checkout.ask("convert_ref", ref=json_ref(REF), to="v2")["ref"]
    for text in (json_ref(REF), json_ref({**REF, **INLINE}), older):
        assert checkout.ask("convert_ref", ref=text, to="v4", run_id="exp42") == refusal


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"sha256": "5" * 63}, Refusal("invalid_value", "$.sha256")),
        ({"sha256": 5}, Refusal("invalid_type", "$.sha256")),
        ({"sha256": None}, Refusal("invalid_type", "$.sha256")),
        ({"sha512": ""}, Refusal("unknown_field", "$")),
        (
            {"payload": {"image_grid_thw": [[1, 3, 4]]}},
            Refusal("invalid_grid", "$.payload.image_grid_thw[0][1]"),
        ),
    ],
)
def test_its_rules_are_enforced(
    checkout: Checkout, fields: dict[str, Any], refusal: Refusal
) -> None:
    assert checkout.ask("parse_ref", ref=v4_ref(**fields)) == refusal
    assert checkout.ask("format_ref", fields={**NEW, **fields}, dialect="v4") == refusal


def test_the_new_field_is_required_there_and_unknown_in_v3(checkout: Checkout) -> None:
    assert checkout.ask("parse_ref", ref=json_ref(REF, "mmraw:v4:")) == Refusal(
        "missing_field", "$"
    )
    assert checkout.ask("parse_ref", ref=json_ref(NEW)) == Refusal("unknown_field", "$")


def test_its_inline_images_are_read_piece_by_piece(checkout: Checkout) -> None:
    texts = [json_ref({**REF, **INLINE}), v4_ref(**INLINE)]
    code = "from mmraw_protocol.wire.ref_stream import read_ref\n"
    code += f"found = [read_ref(text, lambda data: None) for text in {texts}]\n"
    code += "result = [(ref.dialect, is_read) for ref, is_read in found]"
    assert checkout.python(code) == [["v3", True], ["v4", True]]


def test_features_hold_it(checkout: Checkout, default: str) -> None:
    body = {
        "kwargs_data": {"image": [v4_ref()]},
        "mm_hashes": {"image": [NEW["mm_hash"]]},
        "mm_placeholders": {"image": [{"length": 64, "offset": 0}]},
    }
    found = checkout.ask("parse_features", features=body)
    assert found["refs"]["image"][0]["dialect"] == "v4"
    data = {
        "mm_items": {"image": [ITEM]},
        "mm_hashes": body["mm_hashes"],
        "mm_placeholders": body["mm_placeholders"],
    }
    given = {"mm_data": data, "run_id": "exp42"}
    built = checkout.ask("build_features", **given, dialect="v3")
    assert built["features"]["kwargs_data"]["image"] == [json_ref(REF)]
    # An envelope has no such field, so no ref of the dialect is made of it.
    refused = checkout.ask("build_features", **given, dialect="v4")
    assert refused.code == "missing_field"


def test_strategies_generate_it(checkout: Checkout, default: str) -> None:
    assert checkout.find("refs()", f"parse_ref(value).dialect == '{default}'")
    inline = checkout.find("refs('v4')", "parse_ref(value).raw_uri is not None")
    assert checkout.ask("parse_ref", ref=inline)["dialect"] == "v4"
    wrong = checkout.find("refused_documents('RefV4')", "value.get('sha256') == 'G'")
    assert checkout.ask("parse_ref", ref=json_ref(wrong, "mmraw:v4:")).path == "$.sha256"


def test_the_command_line_knows_it(checkout: Checkout, default: str) -> None:
    assert "v4" in checkout.mmraw("convert", "--help")
    help_of_pack = checkout.mmraw("pack", "--help")
    assert "v4" in help_of_pack
    assert f"dialect of refs (default: {default})" in help_of_pack
    assert "sha256 of the encoded" in checkout.mmraw("inspect", v4_ref())
    assert '"sha256"' in checkout.mmraw("schema", "ref:v4")


def test_its_bundled_schema_stands_alone(checkout: Checkout) -> None:
    assert checkout.allows("ref-v4", NEW)
    assert not checkout.allows("ref-v4", REF)


def test_prose_and_reference_and_the_inspector_explain_it(checkout: Checkout) -> None:
    assert 'v4               = %s"mmraw:v4:" b64u-json' in checkout.read("spec/README.md")
    page = checkout.read("docs/reference/wire/ref-v4.md")
    assert "| `sha256` | string matching" in page
    assert v4_ref() in page
    assert "ref-v4.md" in checkout.read("docs/reference/wire/index.md")
    for text in ("mmraw:v4:", "Ref, dialect v4", SHA256["description"]):
        assert text in checkout.inspector
    code = f"const [found] = inspector.inspectText({v4_ref()!r});\n"
    code += "const result = [found.definition, found.fields.at(-1).title, found.faults.length];"
    assert checkout.typescript(code) == ["RefV4", "Whole digest", 0]
