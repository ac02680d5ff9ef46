"""One thing of the protocol, explained: verdict, faults, hints, and a row for each field."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

from ..conversation.reading import read_conversation
from ..families import get_adapter
from ..images import read_header
from ..materialize.documents import VerifiedImage, verify_document
from ..materialize.verification import STEPS, Step, Verifier
from ..wire._generated.dialects import DIALECTS, ITEMS
from ..wire._generated.schemas import DESCRIPTIONS
from ..wire.data_url import parse_data_uri
from ..wire.errors import MMRawError
from ..wire.features import parse_features
from ..wire.item import RawMMItem
from ..wire.json import to_builtins
from ..wire.ref import RawMMRef
from .contents import Thing
from .diagnosis import family_hint, hints_for
from .layouts import told_fingerprint
from .output import counted, shorten, size_of
from .url_images import find_url_images, image_row

Row = tuple[str, str, str]

#: The option that verifies a step that was not verified.
_OPTIONS: dict[Step, str] = {
    "run": "--run-id",
    "fingerprint": "--config",
    "hash": "--store",
    "source": "--store",
    "grid": "--store",
}
_TITLES = {"features": "features body"}
#: The row that says what a fingerprint stands for.
_PARAMETERS = "(layout parameters)"


class Explained(NamedTuple):
    """A thing and what is known of it.

    Attributes:
        thing: What was found.
        title: Its kind and dialect.
        value: Its fields as builtins; None where it was not read.
        rows: A row for each field, or for each image.
        checks: Each step of a ref and its state; empty of other things.
        faults: Why it is refused, or what it contradicts; empty where nothing is wrong.
        hints: Sentences that help.
        summary: What is right, in a few words.
    """

    thing: Thing
    title: str
    value: Any
    rows: list[Row]
    checks: dict[Step, str]
    faults: list[MMRawError]
    hints: list[str]
    summary: str = ""


def explain(thing: Thing, verifier: Verifier) -> Explained:
    """A thing with its faults; one that cannot be read has no value and no rows."""
    failed = thing.error
    try:
        if failed is None:
            return _READERS[thing.kind](thing, verifier)
    except MMRawError as error:
        failed = error
    assert failed is not None
    title = _TITLES.get(thing.kind, thing.kind)
    return Explained(thing, title, None, [], {}, [failed], hints_for(thing.value, failed))


def _explain_ref(thing: Thing, verifier: Verifier) -> Explained:
    (image,) = verify_document("ref", thing.value, verifier)
    ref = cast(RawMMRef, image.image)
    faults, hints = list(image.verdict.faults), [*_hints_of(image)]
    unknown = _unknown_family(ref)
    if unknown is not None:
        faults.append(unknown[0])
        hints.append(unknown[1])
    facts = _facts(ref, thing.value, verifier)
    if any(fault.code == "fingerprint_mismatch" for fault in faults):
        hints += [f"its fingerprint: {text}" for name, text, _ in facts if name == _PARAMETERS]
    rows = [*_rows(DIALECTS[ref.dialect].schema, ref.fields()), *facts]
    title = f"ref, dialect {ref.dialect}"
    checks = image.verdict.steps
    return Explained(
        thing, title, ref.fields(), rows, checks, faults, hints, _summary(ref, verifier)
    )


def _explain_envelope(thing: Thing, verifier: Verifier) -> Explained:
    (image,) = verify_document("envelope", thing.value, verifier)
    item = cast(RawMMItem, image.image)
    rows = _rows(ITEMS[item.dialect].schema, item.to_dict())
    title = f"envelope, dialect {item.dialect}"
    faults = list(image.verdict.faults)
    return Explained(thing, title, item.to_dict(), rows, image.verdict.steps, faults, [])


def _explain_features(thing: Thing, verifier: Verifier) -> Explained:
    images = verify_document("features", thing.value, verifier)
    value = parse_features(thing.value).to_dict()
    rows = [_image_row(image) for image in images] or [("(none)", "", "no images")]
    if len(thing.places) == len(images):
        rows = [
            (name, text, f"{place}; line {line}, column {column}")
            for (name, text, place), (line, column) in zip(rows, thing.places, strict=True)
        ]
    faults = [fault for image in images for fault in image.verdict.faults]
    summary = counted(len(images), "image")
    return Explained(thing, "features body", value, rows, {}, faults, [], summary)


def _explain_urls(thing: Thing, verifier: Verifier) -> Explained:
    if thing.kind == "messages":
        read_conversation(thing.value)
        found = find_url_images(thing.value)
    else:
        found = find_url_images({thing.kind: thing.value}, root="$")
    assert found is not None
    images: list[VerifiedImage] = []
    if thing.kind != "messages":
        images = verify_document(cast(Any, thing.kind), thing.value, verifier)
    else:
        for image, path in zip(found.images, found.paths, strict=True):
            if image.ref is not None:
                verdict = verifier.verify(image.ref)
                verdict.faults = [fault.with_path_prefix(path) for fault in verdict.faults]
                images.append(VerifiedImage(path, image.ref, verdict))
    rows = [image_row(image) for image in found.images] or [("(none)", "", "no images")]
    faults = [fault for image in images for fault in image.verdict.faults]
    summary = counted(len(found.images), "image")
    return Explained(thing, found.kind, found.value, rows, {}, faults, [], summary)


_READERS = {
    "ref": _explain_ref,
    "envelope": _explain_envelope,
    "features": _explain_features,
    "content_parts": _explain_urls,
    "mm_refs": _explain_urls,
    "messages": _explain_urls,
}


def _hints_of(image: VerifiedImage) -> list[str]:
    size = image.verdict.size
    codes = {fault.code for fault in image.verdict.faults}
    if size is None or "grid_mismatch" not in codes:
        return []
    return [f"the image has {size[0]} x {size[1]} pixels"]


def _unknown_family(ref: RawMMRef) -> tuple[MMRawError, str] | None:
    """The fault of a family that nobody here serves, where its name or its payload is another's."""
    try:
        get_adapter(ref.family)
        return None
    except MMRawError as error:
        failed = error
    hint = family_hint(ref.family, to_builtins(ref.payload))
    return None if hint is None else (failed, hint)


def _summary(ref: RawMMRef, verifier: Verifier) -> str:
    try:
        adapter = verifier.adapters.get(ref.family) or get_adapter(ref.family)
        grid = "x".join(map(str, adapter.grid_thw(ref.payload)))
        return f"{ref.family}, grid {grid}, {adapter.num_tokens(ref.payload)} tokens"
    except MMRawError:
        return ref.family


def told_checks(checks: dict[Step, str]) -> str:
    """Lists the verified steps, and the others with the option that verifies them."""
    verified = [name for name in STEPS if checks.get(name) == "ok"]
    left = [(name, text) for name, text in _OPTIONS.items() if checks.get(name) == "unchecked"]
    parts = [f"verified: {', '.join(verified)}"] if verified else []
    if left:
        told = ", ".join(f"{name} ({option})" for name, option in left)
        parts.append(f"unchecked: {told}")
    return "; ".join(parts)


def _rows(schema: str, fields: dict[str, Any]) -> list[Row]:
    meanings = DESCRIPTIONS[schema]
    return [
        (
            name,
            shorten(value if isinstance(value, str) else json.dumps(value)),
            meanings[name].split(". ")[0].rstrip("."),
        )
        for name, value in fields.items()
    ]


def _facts(ref: RawMMRef, text: str, verifier: Verifier) -> list[Row]:
    """Derives from a ref its layout, its source and its layout parameters."""
    rows: list[Row] = [("(size)", size_of(len(text)), "the ref on the wire")]
    near = verifier.adapters.get(ref.family)
    try:
        adapter = near or get_adapter(ref.family)
        grid = adapter.grid_thw(ref.payload)
        layout = told_fingerprint(ref.family, ref.fingerprint, ref.dialect, near)
        rows += [
            ("(grid)", "x".join(map(str, grid)), "patches: time x height x width"),
            ("(tokens)", str(adapter.num_tokens(ref.payload)), "tokens of the image in the model"),
            (_PARAMETERS, layout, "what the fingerprint stands for"),
        ]
    except MMRawError as error:
        rows.append(("(family)", error.code, error.message))
    return [*rows, _source_row(ref)]


def _source_row(ref: RawMMRef) -> Row:
    if not ref.is_inline:
        return ("(source)", "stored", f"looked up in the run's store as {ref.stored_name}")
    data = parse_data_uri(cast(str, ref.raw_uri)).data
    try:
        header = read_header(data)
    except MMRawError as error:
        return ("(source)", "inline", error.code)
    size = f"{header.width}x{header.height} {header.format}, {size_of(len(data))}"
    return ("(source)", "inline", size)


def _image_row(image: VerifiedImage) -> Row:
    """A row of a features body: `image[0]`, the ref, its tokens and its source."""
    ref, (offset, length) = cast(RawMMRef, image.image), image.span or (0, 0)
    source = "inline" if ref.is_inline else str(ref.stored_name)
    text = f"{ref.dialect} {ref.family} {json.dumps(ref.fields().get('payload'))}"
    place = f"tokens {offset} to {offset + length - 1}; {shorten(source)}"
    codes = ", ".join(fault.code for fault in image.verdict.faults)
    where = image.path.removeprefix("$.kwargs_data").removeprefix(".")
    return (where, text, f"{codes}; {place}" if codes else place)
