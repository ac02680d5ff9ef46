"""One conversation of two turns, carried over the wire in every way that there is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args

import msgspec

from ..conversation.messages import PackedImage, find_images, mm_data, pack_images
from ..conversation.prompts import stand_in_prompt
from ..families import Adapter, get_adapter
from ..images import ImageSource, decode_rgb
from ..materialize import Materializer
from ..stores import AssetStore
from ..stores.base import Storage
from ..system.shown import Shown
from ..wire._generated.dialects import DIALECTS, WRITABLE
from ..wire._generated.families import FAMILIES
from ..wire.features import Features, MultiModalData, Slot, build_features, parse_features
from ..wire.hashes import sha256_hex

RUN_ID = "demo"
#: Every dialect that is written; inline images need one that carries their URL.
ROUTES: tuple[tuple[Storage, str], ...] = tuple(
    (storage, dialect)
    for dialect in reversed(WRITABLE)
    for storage in get_args(Storage)
    if storage == "offload" or DIALECTS[dialect].uri is not None
)

Result = TypeVar("Result")
Work = ParamSpec("Work")


class Step(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """The result of one image on one route. Times in seconds, sizes in bytes or characters."""

    picture: str
    format: str
    mode: str
    width: int
    height: int
    encoded_bytes: int
    grid_thw: tuple[int, int, int]
    num_tokens: int
    placeholder_offset: int
    placeholder_length: int
    ref: str
    ref_chars: int
    pack_seconds: float
    materialize_seconds: float
    rgb_sha256: str
    identical: bool


class Journey(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """One family on one route.

    Attributes:
        body: The body of the second turn's request, as it would be posted.
        turns: Images in the body of each turn; the second carries those of the first again.
        steps: What happened to each image.
    """

    family: str
    storage: Storage
    dialect: str
    prompt_tokens: int
    turns: list[int]
    body: str
    pack_seconds: float
    build_seconds: float
    parse_seconds: float
    steps: list[Step]

    @property
    def identical(self) -> bool:
        """True if every image came back pixel for pixel."""
        return all(step.identical for step in self.steps)


def conversation(pictures: list[Path]) -> list[list[dict[str, Any]]]:
    """The messages after the first and after the second turn."""
    half = max(1, (len(pictures) + 1) // 2)
    first = [
        {"role": "system", "content": "You look at pictures."},
        {"role": "user", "content": _parts("What is on these?", pictures[:half])},
    ]
    if not pictures[half:]:
        return [first]
    second = [
        {"role": "assistant", "content": "I see them. Show me the others."},
        {"role": "user", "content": _parts("And what do these have in common?", pictures[half:])},
    ]
    return [first, [*first, *second]]


def _parts(question: str, pictures: list[Path]) -> list[dict[str, Any]]:
    images = [
        {"type": "image_url", "image_url": {"url": path.resolve().as_uri()}} for path in pictures
    ]
    return [*images, {"type": "text", "text": question}]


def run_demo(pictures: list[Path], store: AssetStore) -> list[Journey]:
    """Every family on every route.

    Raises:
        MMRawError: the fault of a picture, with its index in `pictures`.
    """
    originals = [
        decode_rgb(ImageSource.open(picture, path=f"$[{index}]").data, path=f"$[{index}]").rgb
        for index, picture in enumerate(pictures)
    ]
    return [
        _travel(pictures, originals, get_adapter(family), storage, dialect, store)
        for family in FAMILIES
        for storage, dialect in ROUTES
    ]


def _timed(
    work: Callable[Work, Result], *args: Work.args, **options: Work.kwargs
) -> tuple[Result, float]:
    started = time.perf_counter()
    result = work(*args, **options)
    return result, time.perf_counter() - started


def _travel(
    pictures: list[Path],
    originals: list[bytes],
    adapter: Adapter,
    storage: Storage,
    dialect: str,
    store: AssetStore,
) -> Journey:
    turns = conversation(pictures)
    data = MultiModalData()
    images: list[PackedImage] = []
    counts: list[int] = []
    body: dict[str, Any] = {}
    pack_seconds: list[float] = []
    build_seconds = 0.0
    prompt_tokens = 0
    for messages in turns:
        known = len(images)
        for part in find_images(messages)[known:]:
            message = {"role": "user", "content": [part.part]}
            packed, seconds = _timed(_pack, [message], adapter, storage, store)
            images += packed
            pack_seconds.append(seconds)
        prompt = stand_in_prompt(messages, images, adapter)
        prompt_tokens = prompt.num_tokens
        offsets = [place.offset for place in prompt.placeholders[known:]]
        data = data.merge(mm_data(images[known:], offsets))
        body, seconds = _timed(build_features, data, dialect, run_id=RUN_ID)
        build_seconds += seconds
        counts.append(len(images))
    text = json.dumps(body)
    features, parse_seconds = _timed(parse_features, text)
    materializer = Materializer(store, cache_bytes=0, adapters={adapter.family: adapter})
    rows = zip(pictures, originals, images, pack_seconds, features.slots(), strict=True)
    steps = [_step(materializer, features, *row) for row in rows]
    return Journey(
        family=adapter.family,
        storage=storage,
        dialect=dialect,
        prompt_tokens=prompt_tokens,
        turns=counts,
        body=text,
        pack_seconds=sum(pack_seconds),
        build_seconds=build_seconds,
        parse_seconds=parse_seconds,
        steps=steps,
    )


def _pack(
    messages: list[dict[str, Any]], adapter: Adapter, storage: Storage, store: AssetStore
) -> list[PackedImage]:
    packed = pack_images(messages, adapter, storage=storage, store=store, alpha="drop")
    if storage == "inline":
        return packed
    # The label has the path of this machine's store, which would decide how long the refs are.
    items = [msgspec.structs.replace(image.item, raw_uri=None) for image in packed]
    pairs = zip(packed, items, strict=True)
    return [msgspec.structs.replace(image, item=item) for image, item in pairs]


def _step(
    materializer: Materializer,
    features: Features,
    path: Path,
    original: bytes,
    image: PackedImage,
    packing: float,
    slot: Slot,
) -> Step:
    """An image read back from its ref; `packing` is in seconds."""
    result, seconds = _timed(
        materializer.materialize,
        slot.ref,
        mm_hash=slot.mm_hash,
        modality=slot.modality,
        placeholder_length=slot.placeholder.length,
    )
    ref = features.kwargs_data[slot.modality][slot.index]
    header = ImageSource(image.data).header
    return Step(
        picture=path.name,
        format=header.format,
        mode=header.mode,
        width=result.width,
        height=result.height,
        encoded_bytes=len(image.data),
        grid_thw=image.description.grid_thw,
        num_tokens=image.description.num_tokens,
        placeholder_offset=slot.placeholder.offset,
        placeholder_length=slot.placeholder.length,
        ref=ref,
        ref_chars=len(ref),
        pack_seconds=packing,
        materialize_seconds=seconds,
        rgb_sha256=sha256_hex(result.rgb),
        identical=result.rgb == original,
    )
