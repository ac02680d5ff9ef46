"""The verdicts of the inspector, in TypeScript, are those of `mmraw inspect` without a store."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from mmraw_protocol import MMRawError, format_ref, get_adapter, parse_ref
from mmraw_protocol.conformance.vectors import read_vectors
from mmraw_protocol.materialize.verification import Verdict, Verifier
from mmraw_protocol.wire._generated.families import FAMILIES

MODULE = Path(__file__).parent.parent / "typescript/dist/verdict.js"
V2 = (
    "mmraw:v2:exp42:qwen_vl:c2f096345b0d84e6bd2ee38b815cc329:image:"
    "67f463a70fcc80e6b6c13d2563a723f2:67f463a70fcc80e6.png:eyJpbWFnZV9ncmlkX3RodyI6W1sxLDE2LDE2XV19"
)
SCRIPT = """
import { readFileSync } from "node:fs";
const { inspectText } = await import(new URL("inspect.js", MODULE));
const { verdictOf } = await import(MODULE);
for (const [text, runId] of JSON.parse(readFileSync(0, "utf8"))) {
  const { checks } = verdictOf(inspectText(text)[0], { runId });
  console.log(JSON.stringify(Object.fromEntries(checks.map(({ name, state }) => [name, state]))));
}
"""

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not MODULE.exists(),
    reason="NOT TESTED: the inspector needs node 20 or later, and `make typescript`",
)


def inspector(cases: Sequence[tuple[str, str | None]]) -> list[dict[str, str]]:
    """The state of each check, for each text and expected run."""
    script = f"const MODULE = {json.dumps(MODULE.as_uri())};{SCRIPT}"
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, check=True, encoding="utf-8"
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def states(verdict: Verdict) -> dict[str, str]:
    """The same checks as Python has them; a placeholder's length is a matter of the grid."""
    steps = verdict.steps
    if steps["run"] == "contradicts":
        # Nothing more is read of another run.
        return {"run": "contradicts"}
    found = {name: steps[name] for name in ("hash", "grid", "run", "source")}
    if steps["placeholder"] == "contradicts":
        found["grid"] = "contradicts"
    return {"ref": "ok", **found}


def refs() -> list[str]:
    """Every ref of the vectors that is read, whatever they ask about it."""
    found = (vector.input.get("ref") for vector in read_vectors())
    return sorted(
        text for text in {text for text in found if isinstance(text, str)} if is_read(text)
    )


def is_read(text: str) -> bool:
    """True if a text without blanks around it is a ref."""
    try:
        parse_ref(text)
    except MMRawError:
        return False
    return text == text.strip()


@pytest.mark.parametrize("run", [None, "exp42", "another"])
def test_of_every_ref_of_the_vectors(run: str | None) -> None:
    texts = refs()
    verifier = Verifier(run_ids=None if run is None else [run])
    expected = [states(verifier.verify_text(text)[1]) for text in texts]
    assert len(texts) > 200
    found = inspector([(text, run) for text in texts])
    wrong = [
        (text[:120], ours, theirs)
        for text, ours, theirs in zip(texts, found, expected, strict=True)
        if {**ours, **theirs} != ours
    ]
    assert wrong == []
    assert {state["hash"] for state in found} == {"ok", "unchecked", "contradicts"}


@pytest.mark.parametrize("family", FAMILIES)
def test_of_placeholders_of_every_length(family: str) -> None:
    adapter = get_adapter(family)
    layout = adapter.layout(320, 200)
    ref = msgspec.structs.replace(
        parse_ref(V2),
        family=family,
        fingerprint=adapter.fingerprint(),
        payload=layout.payload,
        raw_image_id="a.png",
    )
    text = format_ref(ref)
    lengths = sorted({1, layout.num_tokens - 1, layout.num_tokens, layout.placeholder_length})
    expected = [states(Verifier().verify(ref, placeholder_length=length)) for length in lengths]
    lists = [(json.dumps({"mm_refs": [[[text, 5, length]]]}), None) for length in lengths]
    assert inspector(lists) == expected
    assert {state["grid"] for state in expected} == {"unchecked", "contradicts"}
