"""The generator: a closed subset of JSON Schema, and committed output that never drifts."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from codegen import new_family
from codegen.__main__ import generated, main
from codegen.load import load_spec
from codegen.subset import SchemaError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of spec/ and of what is generated from it."""
    shutil.copytree(ROOT / "spec", tmp_path / "spec", ignore=shutil.ignore_patterns("vectors"))
    for path in generated(ROOT):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def edit(checkout: Path, name: str, change: Any) -> None:
    """Changes one schema file in place."""
    path = checkout / "spec" / name
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_what_is_committed_is_what_is_generated() -> None:
    assert main(["--check"]) == 0


def test_drift_is_found_and_mended(checkout: Path) -> None:
    assert main(["--check"], checkout) == 0
    next(iter((checkout / "mmraw_protocol/wire/_generated").glob("types.py"))).write_text("edited")
    assert main(["--check"], checkout) == 1
    assert main([], checkout) == 0
    assert main(["--check"], checkout) == 0


def test_a_file_that_spec_no_longer_gives_rise_to_is_drift(checkout: Path) -> None:
    stale = checkout / "spec/bundled/ref-v0.schema.json"
    stale.write_text("{}")
    assert main(["--check"], checkout) == 1
    assert main([], checkout) == 0
    assert not stale.exists()
    assert main(["--check"], checkout) == 0


def test_a_change_in_spec_is_drift(checkout: Path) -> None:
    edit(checkout, "limits.json", lambda d: d["limits"]["image_side"].update(default=100))
    assert main(["--check"], checkout) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["$defs"]["RunId"].update(format="uri"), "$defs/RunId: keyword not in"),
        (lambda d: d["$defs"]["RunId"].pop("type"), "$defs/RunId: no type"),
        (lambda d: d["$defs"]["GridRow"].update(items={"type": "null"}), "$defs/GridRow"),
        (
            lambda d: d["$defs"]["RunId"].update({"x-mmraw-error": "x"}),
            "RunId/x-mmraw-error: no such",
        ),
        (
            lambda d: d["$defs"]["RunId"].update({"x-mmraw-limit": "x"}),
            "RunId/x-mmraw-limit: no such",
        ),
        (lambda d: d.update({"if": {}}), "keyword not in the subset: if"),
        (lambda d: d.update({"$id": "https://example.invalid/x"}), "$id must be"),
        (lambda d: d.pop("description"), "a schema has a description"),
    ],
)
def test_anything_outside_the_subset_is_refused_by_place(
    checkout: Path, change: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(checkout, "common/v1.schema.json", change)
    with pytest.raises(SchemaError, match=message.replace("$", r"\$")):
        load_spec(checkout / "spec")
    assert main([], checkout) == 2
    assert "codegen:" in capsys.readouterr().err


def test_open_objects_and_unsorted_fields_are_refused(checkout: Path) -> None:
    edit(
        checkout,
        "families/qwen_vl/payload.schema.json",
        lambda d: d["$defs"]["QwenVlPayload"].pop("additionalProperties"),
    )
    with pytest.raises(SchemaError, match="must be closed"):
        load_spec(checkout / "spec")


def test_generated_files_name_their_command_and_source() -> None:
    whole = {p: t for p, t in generated(ROOT).items() if "<!-- generated: " not in t}
    for path, text in whole.items():
        assert "python -m codegen" in text, path
        has_no_digest = path.name in ("__init__.py", "families.schema.json")
        assert has_no_digest or re.search(r"sha256 of spec/.*: [0-9a-f]{64}", text), path


@pytest.mark.parametrize(
    ("source", "change", "changed", "unchanged"),
    [
        (
            "errors.json",
            lambda d: d["errors"]["invalid_grid"].update(cause="Another."),
            "errors.py errors.md texts.ts",
            "types.py checks.py limits.py ref-v3.md limits.md types.ts wire.ts strategies.py",
        ),
        (
            "ref/v3.schema.json",
            lambda d: d["$defs"]["RefV3"].update(title="Another"),
            "ref-v3.md checks.py checks.ts dialects.py index.md ref-v3.schema.json",
            "families.py families.ts errors.py ref-v2.md item-v1.md qwen_vl.md features-v1.md",
        ),
        (
            "families/gemma4/layout.schema.json",
            lambda d: d["$defs"]["Gemma4Layout"].update(description="Another."),
            "gemma4.md layout-gemma4.md layout-gemma4.schema.json families.py types.ts",
            "qwen_vl.md layout-qwen_vl.md payload-gemma4.md ref-v3.md dialects.py errors.md",
        ),
        (
            "families/gemma4/family.json",
            lambda d: d.update(title="Another"),
            "gemma4.md index.md families.py families.ts",
            "qwen_vl.md payload-gemma4.md payload-families.md types.py checks.ts wire.ts ref-v3.md",
        ),
    ],
    ids=["errors", "a dialect", "a family's parameters", "a family's table"],
)
def test_a_change_rewrites_only_what_follows_from_it(
    checkout: Path, source: str, change: Any, changed: str, unchanged: str
) -> None:
    before = {path: (checkout / path).read_text() for path in generated(checkout)}
    names = {path.name for path in before}
    edit(checkout, source, change)
    assert main([], checkout) == 0
    found = {path.name for path, text in before.items() if (checkout / path).read_text() != text}
    assert {*changed.split()} <= found
    assert {*unchanged.split()} <= names - found


def test_an_error_code_has_all_that_people_read(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(checkout, "errors.json", lambda d: d["errors"]["invalid_grid"].pop("remedy"))
    assert main([], checkout) == 2
    assert "errors.json: invalid_grid has no remedy" in capsys.readouterr().err


@pytest.mark.parametrize("keyword", ["RunId", "GridSide"])
def test_a_bound_that_differs_from_its_limit_is_refused(
    checkout: Path, keyword: str, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = {"RunId": "name_chars", "GridSide": "grid_patches"}[keyword]
    edit(checkout, "limits.json", lambda d: d["limits"][limit].update(default=160))
    assert main([], checkout) == 2
    assert f"must be 160, the default of the limit {limit}" in capsys.readouterr().err


def test_a_limit_that_changes_with_its_bounds_reaches_every_text(checkout: Path) -> None:
    def raise_bounds(document: Any) -> None:
        for node in document["$defs"].values():
            if node.get("x-mmraw-limit") == "name_chars":
                node["maxLength"] = 160

    edit(checkout, "limits.json", lambda d: d["limits"]["name_chars"].update(default=160))
    edit(checkout, "common/v1.schema.json", raise_bounds)
    assert main(["--check"], checkout) == 1
    assert main([], checkout) == 0

    def written(path: str) -> str:
        return (checkout / path).read_text(encoding="utf-8")

    prose = written("spec/README.md")
    assert "modality         = 1*160( ALPHA" in prose
    assert "at most 160 with its run_" in prose
    assert "| `name_chars` | 160 characters |" in prose
    assert "1 to 160 of A-Z" in written("mmraw_protocol/wire/_generated/checks.py")
    assert "of at most 160 characters" in written("docs/reference/wire/common-v1.md")
    assert "Default: **160** characters" in written("docs/reference/wire/limits.md")
    bundle = json.loads(written("spec/bundled/ref-v3.schema.json"))
    assert bundle["$defs"]["Family"]["maxLength"] == 160


def test_a_family_without_its_arithmetic_is_no_family(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "spec/families/qwen_vl/layout.md").unlink()
    assert main([], checkout) == 2
    assert "families/qwen_vl: no layout.md" in capsys.readouterr().err


def test_the_arithmetic_of_a_family_and_the_rules_of_messages_reach_their_pages(
    checkout: Path,
) -> None:
    for source, page in (
        ("families/qwen_vl/layout.md", "families/qwen_vl.md"),
        ("messages.md", "wire/messages.md"),
    ):
        path = checkout / "spec" / source
        path.write_text(path.read_text("utf-8") + "\nOne more rule.\n", encoding="utf-8")
        assert main([], checkout) == 0
        assert "\nOne more rule.\n" in (checkout / "docs/reference" / page).read_text("utf-8")


def test_text_outside_of_the_regions_is_left_as_it_is(checkout: Path) -> None:
    path = checkout / "spec/README.md"
    prose = path.read_text(encoding="utf-8")
    path.write_text("By hand.\n" + prose.replace("| v2 | yes |", "| v2 | no |"), encoding="utf-8")
    assert main(["--check"], checkout) == 1
    assert main([], checkout) == 0
    assert path.read_text(encoding="utf-8") == "By hand.\n" + prose


@pytest.mark.parametrize(
    ("page", "name"),
    [("spec/README.md", "limits"), ("spec/README.md", "grammar"), ("README.md", "models")],
)
def test_a_page_has_every_region_once(
    checkout: Path, page: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkout / page
    prose = path.read_text(encoding="utf-8")
    path.write_text(prose.replace(f"generated: {name} ", "generated: another "), encoding="utf-8")
    assert main([], checkout) == 2
    assert f"codegen: {page}: the regions are" in capsys.readouterr().err


def test_a_new_family_begins_with_what_the_generator_takes(checkout: Path) -> None:
    assert new_family.refusal_of("toy_vl", checkout) is None
    new_family.write("toy_vl", checkout)
    assert main([], checkout) == 0
    assert (checkout / "spec/bundled/payload-toy_vl.schema.json").exists()
    refusal = new_family.refusal_of("toy_vl", checkout)
    assert refusal == "the name is taken: spec/families/toy_vl/family.json is there"


def test_the_bounds_of_choices_are_their_ends(checkout: Path) -> None:
    def widen(document: Any) -> None:
        document["$defs"]["Gemma4Layout"]["properties"]["max_soft_tokens"]["maximum"] = 2000

    edit(checkout, "families/gemma4/layout.schema.json", widen)
    with pytest.raises(SchemaError, match="the least and the greatest choice"):
        generated(checkout)


def test_every_error_code_is_explained_with_an_example() -> None:
    errors = load_spec(ROOT / "spec").errors
    page = generated(ROOT)[Path("docs/reference/wire/errors.md")]
    for code, error in errors.items():
        assert error["example"]
        assert f"{{#{code}}}" in page


def test_a_reference_page_lists_every_field() -> None:
    pages = generated(ROOT)
    page = pages[Path("docs/reference/wire/ref-v3.md")]
    schema = json.loads((ROOT / "spec/ref/v3.schema.json").read_text())
    for field in schema["$defs"]["RefV3"]["properties"]:
        assert f"| `{field}` |" in page


def test_the_page_of_a_family_has_its_parameters_lines_and_tokens() -> None:
    spec = load_spec(ROOT / "spec")
    for family, info in spec.families.items():
        page = generated(ROOT)[Path(f"docs/reference/families/{family}.md")]
        layout = json.loads((ROOT / f"spec/families/{family}/layout.schema.json").read_text())
        (parameters,) = (one for one in layout["$defs"].values() if "x-mmraw-family" in one)
        assert all(f"\n| `{name}` | `" in page for name in parameters["properties"])
        assert not any(f"`{name}`, `{name}`" in page for name in parameters["properties"])
        assert all(f"\n| {line} | " in page for line in info["lines"])
        assert info["placeholder"]["token"] in page
        assert f"({family}.svg)" in page
