"""An error code: spec/errors.json is edited, and one place in each language raises it."""

from collections.abc import Iterator

import pytest
from checkout import Checkout, Refusal

INFO = {
    "meaning": "The image is too blurred to be of use.",
    "http_status": 422,
    "cause": "A shaking hand.",
    "remedy": "Take the picture again.",
    "example": "A picture of a moving train.",
    "since": "1.1",
}
PYTHON = "mmraw_protocol/wire/ref_model.py"
TYPESCRIPT = "typescript/src/names.ts"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("error"))
    checkout.edit("spec/errors.json", lambda it: it["errors"].update(image_blurred=INFO))
    check = "    _check_raw_image_id(text, path, limits)\n"
    raised = '        raise MMRawError("image_blurred", "the image is blurred", path)\n'
    checkout.replace(PYTHON, check, f'{check}    if text == "blurred.png":\n{raised}')
    check = "  enforce(checkName, text, path, limits);\n"
    raised = 'throw new MMRawError("image_blurred", "the image is blurred", path);\n'
    checkout.replace(TYPESCRIPT, check, f'{check}  if (text === "blurred.png") {raised}')
    first = 'import { enforce } from "./codec/check.js";\n'
    checkout.replace(TYPESCRIPT, first, f'{first}import {{ MMRawError }} from "./errors.js";\n')
    checkout.make()
    yield checkout
    checkout.close()


def test_only_the_catalogue_and_where_it_is_raised_are_edited(checkout: Checkout) -> None:
    assert checkout.edited() == {"spec/errors.json", PYTHON, TYPESCRIPT}
    assert checkout.codegen("--check") == (0, "")


def test_both_languages_raise_it(checkout: Checkout) -> None:
    refusal = Refusal("image_blurred", "$.raw_image_id")
    assert checkout.ask("check_raw_image_id", raw_image_id="blurred.png") == refusal
    assert checkout.ask("check_raw_image_id", raw_image_id="sharp.png")["raw_image_id"]


def test_both_languages_know_its_status(checkout: Checkout) -> None:
    code = "from mmraw_protocol import MMRawError\n"
    code += "result = MMRawError('image_blurred', 'why').http_status"
    assert checkout.python(code) == 422
    code = "const result = new mmraw.MMRawError('image_blurred', 'why').httpStatus;"
    assert checkout.typescript(code) == 422


def test_a_code_of_no_catalogue_is_no_typescript(checkout: Checkout) -> None:
    mended = checkout.read("spec/errors.json")
    checkout.edit("spec/errors.json", lambda it: it["errors"].pop("image_blurred"))
    assert checkout.codegen()[0] == 0
    with pytest.raises(AssertionError, match="image_blurred"):
        checkout.compile("--noEmit")
    checkout.write("spec/errors.json", mended)
    assert checkout.codegen()[0] == 0


def test_the_reference_and_the_inspector_explain_it(checkout: Checkout) -> None:
    page = checkout.read("docs/reference/wire/errors.md")
    assert "## `image_blurred` {#image_blurred}" in page
    assert INFO["meaning"] in page
    assert INFO["remedy"] in checkout.inspector
    code = "const result = inspector.ERROR_TEXTS.image_blurred;"
    assert checkout.typescript(code)["cause"] == "A shaking hand."
