"""Every vector of spec/vectors/, answered as another implementation would have to."""

import json
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import MMRawError
from mmraw_protocol.conformance import answer
from mmraw_protocol.conformance.vectors import (
    Vector,
    expand,
    read_vectors,
    same,
    vectors_folder,
    workspace,
)

VECTORS = list(read_vectors())
FOLDER = vectors_folder()


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """A copy of what the vectors name: some of them write."""
    with workspace() as folder:
        yield folder


def ask(vector: Vector, files: Path) -> dict[str, Any]:
    """Returns this implementation's answer."""
    given = expand(vector.input, files)
    reply = answer({"cmd": "run", "seq": vector.id, "op": vector.op, "input": given})
    assert reply is not None
    return reply


def wrong(vector: Vector, reply: dict[str, Any]) -> str | None:
    """Says what is wrong about an answer, or None."""
    if vector.error is not None:
        if reply.get("ok") is not False:
            return f"{vector.id}: accepted"
        code = reply["error"]["code"]
        return None if code == vector.error["code"] else f"{vector.id}: {code}"
    if reply.get("ok") is not True:
        return f"{vector.id}: {reply}"
    return None if same(reply["result"], vector.result) else f"{vector.id}: {reply['result']}"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("op", sorted({vector.op for vector in VECTORS}))
def test_every_vector_holds(op: str, files: Path) -> None:
    rows = [vector for vector in VECTORS if vector.op == op]
    faults = [fault for vector in rows if (fault := wrong(vector, ask(vector, files)))]
    assert rows
    assert faults == []


def test_vectors_cover_acceptance_and_refusal() -> None:
    verdicts = Counter((vector.op, vector.error is None) for vector in VECTORS)
    for op in ("parse_ref", "format_ref", "parse_item", "build_features", "parse_features"):
        assert verdicts[op, True] >= 5
        assert verdicts[op, False] >= 5


def long_words(text: str) -> set[str]:
    """Every run of 16 characters."""
    return {text[at : at + 16] for at in range(len(text) - 15)}


def schema_words() -> str:
    """All that an error may say without repeating the input: the texts of the schemas and codes."""
    files = [*FOLDER.parent.rglob("*.schema.json"), *FOLDER.parent.glob("*.json")]
    return " ".join(path.read_text() for path in files)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_no_error_repeats_its_input(files: Path) -> None:
    known = schema_words()
    for vector in VECTORS:
        if vector.error is None or vector.op == "layout":
            continue
        error = ask(vector, files)["error"]
        assert len(error["message"]) <= 200
        assert error["message"].isascii()
        assert error["message"].isprintable()
        # The keys of a request are names of the protocol.
        given = json.dumps([*expand(vector.input).values()])
        if len(given) > 100_000:
            continue
        told = long_words(error["message"]) | long_words(error["path"])
        repeated = {word for word in told & long_words(given) if word not in known}
        assert repeated == set(), vector.id


def test_an_error_pickles_small_and_whole() -> None:
    error = MMRawError("invalid_value", "x" * 200, "$." + "y" * 200)
    data = pickle.dumps(error)
    again = pickle.loads(data)
    assert len(data) <= 1024
    assert (again.code, again.path, again.message) == (error.code, error.path, error.message)
    assert again.http_status == 400
