"""Cases for every operation that two implementations share, from one seed."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Collection, Iterator
from typing import Any

from mmraw_protocol.testing import hash_of, ref_text
from mmraw_protocol.wire._generated.dialects import DIALECTS, ITEMS
from mmraw_protocol.wire._generated.families import FAMILIES
from mmraw_protocol.wire._generated.modalities import (
    MEDIA_NAMES,
    MEDIA_PARTS,
    MEDIA_WITHIN,
    PARTS,
    UNSUPPORTED,
)
from mmraw_protocol.wire.base64 import encode_base64url

from . import mutate, prompts, urls
from .damage import damaged
from .seeds import Seeds

Case = tuple[str, dict[str, Any]]
Maker = Callable[[random.Random, Seeds], dict[str, Any]]

#: A store that both find, each in its own place.
DIRECTORY = "stores/fixture"
BUILT_IN = tuple(FAMILIES)
NAMES = (*BUILT_IN, *BUILT_IN, "other", "", "QWEN_VL")


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _ref(rng: random.Random, seeds: Seeds) -> str:
    """A ref: canonical, spelled otherwise, with changed fields, or with changed characters."""
    dialect = rng.choice(list(DIALECTS))
    fields = seeds.fields(rng, dialect)
    kind = rng.randrange(12)
    if kind <= 1:
        return ref_text(fields, dialect)
    if kind >= 10:
        return seeds.one(rng, f"{('near miss', 'refused ref')[kind - 10]}:{dialect}")
    if kind <= 4:
        return mutate.text(rng, ref_text(fields, dialect))
    changed = mutate.value(rng, fields) if kind <= 8 else fields
    return _spelled(rng, changed, dialect)


def _spelled(rng: random.Random, fields: Any, dialect: str) -> str:
    wire = DIALECTS[dialect]
    if wire.encoding == "segments":
        given = fields if isinstance(fields, dict) else {}
        return wire.prefix + ":".join(_segment(rng, given.get(n), n) for n in wire.segments)
    text = mutate.spelling(rng, fields)
    return wire.prefix + (text if wire.encoding == "json" else encode_base64url(_bytes_of(text)))


def _segment(rng: random.Random, value: Any, name: str) -> str:
    if name == "payload":
        return encode_base64url(_bytes_of(mutate.spelling(rng, value)))
    if name == "grid_thw" and isinstance(value, list) and value and isinstance(value[0], list):
        return "x".join(str(side) for side in value[0])
    return value if isinstance(value, str) else str(value)


def parse_ref(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Refs of all dialects."""
    return {"ref": _ref(rng, seeds)}


def format_ref(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Fields, sometimes of another dialect than the one that is asked for."""
    dialect = rng.choice(list(DIALECTS))
    fields = seeds.fields(rng, dialect)
    if rng.random() < 0.6:
        fields = mutate.value(rng, fields)
    if rng.random() < 0.1:
        dialect = rng.choice([*DIALECTS, "v4", ""])
    return {"dialect": dialect, "fields": fields}


def convert_ref(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Refs to any dialect, with and without what a conversion may need."""
    dialect, text = seeds.ref(rng)
    if rng.random() < 0.6:
        fields = {**seeds.fields(rng, dialect), "fingerprint": _default(rng)}
        uri = fields.get("raw_uri") or fields.get("raw_image_data") or ""
        if uri.startswith("data:") and rng.random() < 0.7:
            fields["mm_hash"] = hash_of(base64.b64decode(uri.partition(",")[2]))
        text = ref_text(fields, dialect)
    if rng.random() < 0.1:
        text = mutate.text(rng, text)
    given: dict[str, Any] = {"ref": text, "to": rng.choice([*DIALECTS, "v9"])}
    if rng.random() < 0.5:
        given["run_id"] = rng.choice(("exp", "run_exp", "run_run_x", "", None, "a" * 200))
    if rng.random() < 0.5:
        given["config"] = _config(rng, seeds)
    if rng.random() < 0.15 and not _is_label(given["to"]):
        given["directory"] = DIRECTORY
    return given


def _is_label(dialect: str) -> bool:
    """True if a ref would name its store's place, which differs."""
    wire = DIALECTS.get(dialect)
    return wire is not None and wire.uri is not None and wire.uri[1] == "file_label"


def _default(rng: random.Random) -> str:
    """A fingerprint of published layout parameters, in one of the schemes."""
    return rng.choice(
        (
            "c2f096345b0d84e6bd2ee38b815cc329",
            "c5ece06d40951692b7035ec4dd381742",
            "2d4d4f5e63e4d20c3c5784054fdfaab7",
            "a05685ad7bfa971ee9967c50c722b892",
            "63a3419b34b4463f1ea8d7ece5232ad1",
        )
    )


def _config(rng: random.Random, seeds: Seeds) -> Any:
    info = FAMILIES[rng.choice(BUILT_IN)]
    parameters = seeds.one(rng, f"layout:{info.layout.__name__}")
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice(({}, None, *info.lines))
    if kind <= 2:
        return mutate.value(rng, parameters)
    if kind == 3:
        return _document(rng, rng.choice(BUILT_IN), parameters)
    if kind == 4:
        sizes = {"shortest_edge": rng.choice((3136, 65536, None, 1.0)), "longest_edge": 12845056}
        return {**parameters, "size": rng.choice((sizes, {}, None, 1, [])), "other": 1}
    return parameters


def _document(rng: random.Random, family: str, parameters: Any) -> dict[str, Any]:
    """A document as a processor of a family saves it; sometimes a name in it is another model's."""
    info = FAMILIES[family if rng.random() < 0.9 else rng.choice(BUILT_IN)]
    line = rng.choice(list(info.lines.values()))
    kind = rng.choice(list(info.image_processor_types)) + rng.choice(("", "Fast", "Pil", "PilFast"))
    sides: tuple[Any, ...] = (448, [448, 448], [448], None, {}, {"height": 448, "width": 448})
    sides += ({"height": 448, "width": 336}, {"max_height": 64, "max_width": 64}, "448", 4.0)
    sides += ({"shortest_edge": 4096, "longest_edge": 262144}, {"longest_edge": 1540})
    options: dict[str, Any] = {
        "image_processor_type": rng.choice((*[kind] * 9, "CLIPImageProcessor", None, 1)),
        "media_proc_cfg": parameters,
        "size": rng.choice(sides),
        "patch_size": rng.choice((14, 16, None, 14.0, *sides[:3])),
        "max_pixels": rng.choice((50176, 1048576, None)),
        "do_resize": rng.choice((*[True] * 5, False, None, 1)),
        "max_patches": rng.choice((6, 1024)),
    }
    document = {name: value for name, value in options.items() if rng.random() < 0.3}
    document |= {"image_processor_type": kind} if rng.random() < 0.7 else {}
    names: dict[str, Any] = {
        "processor_class": rng.choice(line.processor_classes),
        "model_type": rng.choice((*line.model_types, "llava")),
    }
    named = {name: value for name, value in names.items() if rng.random() < 0.4}
    return {**named, "image_processor": document} if rng.random() < 0.5 else document | named


def parse_item(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Envelopes of all dialects, as objects and as texts."""
    name = rng.choice(("ItemV1", *(wire.schema for wire in ITEMS.values())))
    item = seeds.one(rng, f"item:{name}")
    kind = rng.random()
    if kind < 0.6:
        item = mutate.value(rng, item)
    elif kind < 0.7:
        item = seeds.one(rng, f"refused item:{rng.choice(tuple(ITEMS))}")
    return {"text": mutate.spelling(rng, item)} if rng.random() < 0.5 else {"item": item}


def fingerprint(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Layout parameters of any names and values."""
    values = rng.choice((seeds.one(rng, "layout:QwenVlLayout"), seeds.one(rng, "payload:other")))
    if rng.random() < 0.5:
        values = mutate.value(rng, values)
    dialect = rng.choice([*DIALECTS, "v9"])
    return {"dialect": dialect, "family": rng.choice((*NAMES, "\u00e9")), "values": values}


def layout(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Sizes from one pixel to absurd, under published and drawn parameters."""
    given: dict[str, Any] = {
        "family": rng.choice((*BUILT_IN, "other")),
        "width": _side(rng),
        "height": _side(rng),
    }
    if rng.random() < 0.6:
        given["config"] = _config(rng, seeds)
    if rng.random() < 0.4:
        family = rng.choice(BUILT_IN)
        given["family"] = family if rng.random() < 0.8 else "auto"
        given["config"] = _document(rng, family, seeds.one(rng, "layout:KimiK25Layout"))
    return given


def _side(rng: random.Random) -> Any:
    kind = rng.randrange(20)
    if kind == 0:
        return rng.choice((0, -1, 1.0, 2**31 - 1, 2**31, 2**53, 10**30, "1", None, True))
    if kind <= 3:
        return rng.randint(1, 2**31 - 1)
    if kind <= 8:
        # Halves of the raster, where rounding decides.
        return max(1, rng.randint(1, 400) * rng.choice((14, 16, 28, 32)) + rng.choice((-1, 0, 1)))
    return rng.randint(1, rng.choice((4, 100, 4000, 40000)))


def describe(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Images whole, and damaged in their bytes and their parts."""
    data: bytes = seeds.one(rng, rng.choice(("images", "built images")))
    if rng.random() < 0.95:
        data = damaged(rng, data, donor=seeds.one(rng, "built images"))
    text = base64.b64encode(data).decode("ascii")
    return {"family": rng.choice(BUILT_IN), "data_uri": f"data:image/png;base64,{text}"}


def image_part(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Parts of messages."""
    parts = [
        part
        for message in seeds.one(rng, "messages")
        if isinstance(message["content"], list)
        for part in message["content"]
    ]
    part: Any = rng.choice(parts) if parts else {"type": "image", "image_url": {"url": "x"}}
    if rng.random() < 0.4:
        part = _medium(rng)
    return {"part": mutate.value(rng, part) if rng.random() < 0.8 else part}


def _medium(rng: random.Random) -> dict[str, Any]:
    """A part that is a video or audio, or nearly one: by its type, a key or its media type."""
    word, kind = rng.choice([*PARTS, "video_frame"]), rng.choice([*MEDIA_PARTS, None, "text"])
    media = rng.choice(("video/mp4", "Audio/wav", "image/png", "video", "", None))
    declared = {rng.choice(MEDIA_NAMES): media}
    forms: list[dict[str, Any]] = [
        {"type": word, word: rng.choice(("x", None, {"url": "x"}))},
        {word: rng.choice(("x", "", None, 0, 0.0, [], {}, {"url": "x"})), "image": "x"},
        {"type": kind, **declared},
        {"type": kind, rng.choice(MEDIA_WITHIN): declared},
    ]
    return rng.choice(forms)


def _renamed(rng: random.Random, maps: Any) -> Any:
    """Maps in some of which images stand under video or audio; sometimes beside images."""
    modality, beside = rng.choice([*UNSUPPORTED]), rng.random() < 0.3
    changed = dict(maps)
    for name, by_modality in maps.items():
        if rng.random() < 0.8:
            rows = next(iter(by_modality.values()), [])
            changed[name] = {**(by_modality if beside else {}), modality: rows}
    return changed


def parse_data_uri(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """data: images."""
    kind = rng.choice(("png", "jpeg", "jpg", "webp", "gif", "bmp"))
    text = base64.b64encode(rng.randbytes(rng.randrange(30))).decode("ascii")
    uri = f"data:image/{kind};base64,{text}"
    return {"data_uri": mutate.text(rng, uri) if rng.random() < 0.7 else uri}


def offload(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """data: images into a store."""
    return {**parse_data_uri(rng, seeds), "directory": DIRECTORY}


def check_raw_image_id(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Names of stored images."""
    names = [item for item in mutate.HOSTILE if isinstance(item, str)]
    name = rng.choice((rng.choice(names), seeds.fields(rng, "v2")["raw_image_id"]))
    return {"raw_image_id": mutate.text(rng, name) if rng.random() < 0.7 else name}


def build_features(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Renderers' data on images."""
    items = [seeds.one(rng, "item:ItemV1") for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    hashes = [seeds.fields(rng, "v2")["mm_hash"] for _ in items]
    places: list[dict[str, int]] = []
    offset = 0
    for _ in items:
        offset += rng.randrange(3)
        places.append({"offset": offset, "length": (length := rng.randrange(1, 9))})
        offset += length - (rng.random() < 0.05)
    names = ("mm_hashes", "mm_placeholders", "mm_items")
    data: Any = {
        name: {"image": rows} for name, rows in zip(names, (hashes, places, items), strict=True)
    }
    if rng.random() < 0.1:
        data = _renamed(rng, data)
    if rng.random() < 0.6:
        data = mutate.value(rng, data)
    run_id = rng.choice(("exp", "run_exp", "exp", None, "run_run_x", ".."))
    return {"dialect": rng.choice(("v3", "v3", "v2", "v1")), "run_id": run_id, "mm_data": data}


def parse_features(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Bodies of requests, as objects and as texts."""
    body = seeds.one(rng, f"features:{rng.choice(('v3', 'v3', 'v2', 'v1', 'unversioned-data'))}")
    kind = rng.random()
    if rng.random() < 0.1:
        body = _renamed(rng, body)
    if kind < 0.5:
        body = mutate.value(rng, body)
    elif kind < 0.6:
        body = seeds.one(rng, f"refused features:{rng.choice(('v3', 'v2'))}")
    return {"text": mutate.spelling(rng, body)} if rng.random() < 0.5 else {"features": body}


def expand_prompt(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Prompts with a target for each image."""
    return prompts.expand_prompt_case(rng, seeds)


def compact_prompt(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Prompts with spans."""
    return prompts.compact_prompt_case(rng, seeds)


def parse_content_parts(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Images of requests by their URLs."""
    return urls.content_parts_case(rng, seeds, _ref(rng, seeds))


def parse_mm_refs(rng: random.Random, seeds: Seeds) -> dict[str, Any]:
    """Images of rollouts by their URLs."""
    return urls.mm_refs_case(rng, seeds, _ref(rng, seeds))


#: Operations by the share of cases that they get.
OPERATIONS: dict[Maker, int] = {
    parse_ref: 30,
    format_ref: 12,
    convert_ref: 8,
    parse_item: 14,
    fingerprint: 4,
    layout: 10,
    describe: 10,
    image_part: 4,
    parse_data_uri: 3,
    check_raw_image_id: 3,
    offload: 1,
    build_features: 6,
    parse_features: 8,
    expand_prompt: 5,
    compact_prompt: 8,
    parse_content_parts: 5,
    parse_mm_refs: 5,
}


def cases(
    number: int, count: int, seeds: Seeds | None = None, ops: Collection[str] = ()
) -> Iterator[Case]:
    """`count` cases, of `ops` alone where there are any; the same for the same `number`."""
    rng = random.Random(number)
    pools = seeds or Seeds(number, 300)
    shares = {m: share for m, share in OPERATIONS.items() if not ops or m.__name__ in ops}
    makers, weights = list(shares), list(shares.values())
    for _ in range(count):
        maker = rng.choices(makers, weights)[0]
        yield maker.__name__, maker(rng, pools)
