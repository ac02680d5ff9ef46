"""The `repr` of objects in logs, and the equality of copies."""

import copy
import pickle
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import msgspec
import process_programs
import pytest

from mmraw_protocol import (
    ImageSource,
    Materializer,
    MultiModalData,
    RawMMRef,
    build_features,
    get_adapter,
    open_store,
    pack_images,
    parse_features,
)
from mmraw_protocol.files import ConvertJob, InlineJob, OffloadJob, StoreSpec
from mmraw_protocol.images import decode_rgb, read_header
from mmraw_protocol.materialize import MaterializedImage
from mmraw_protocol.stores.maintenance import check, collect
from mmraw_protocol.system.shown import Shown

PNG = process_programs.png(600)
LONG = "x" * 5000
PLACE = StoreSpec(LONG, LONG)
#: Rooms whose objects are read from documents and pictures.
READ = ("wire", "images", "families", "conversation")


def packed(storage: Any = "inline") -> Any:
    import base64

    store = open_store("memory://", run_id="r")
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": LONG}]
    messages = [{"role": "user", "content": content}]
    return pack_images(messages, get_adapter("qwen_vl"), storage=storage, store=store)[0]


def features(storage: Any = "inline") -> Any:
    image = packed(storage)
    data = MultiModalData(
        mm_hashes={"image": [image.mm_hash] * 3},
        mm_placeholders={"image": [{"offset": at, "length": 1} for at in range(3)]},
        mm_items={"image": [image.item] * 3},
    )
    return parse_features(build_features(data, run_id="r"))


def packed_ref(storage: Any) -> RawMMRef:
    return features(storage).refs["image"][0]


def materialized(payload: Any = None) -> MaterializedImage:
    store = open_store("memory://", run_id="r")
    image = Materializer(store).materialize(process_programs.ref_of(PNG, store.put(PNG)))
    if payload is None:
        return image
    import msgspec

    ref = msgspec.structs.replace(image.ref, family="other", payload=payload)
    return msgspec.structs.replace(image, ref=ref)


def described(payload: Any = None) -> Any:
    import msgspec

    found = get_adapter("qwen_vl").describe(PNG)
    return found if payload is None else msgspec.structs.replace(found, payload=payload)


VALUES: dict[str, Callable[[], Any]] = {
    "a header": lambda: read_header(PNG),
    "a decoded image": lambda: decode_rgb(PNG),
    "a source": lambda: ImageSource.open(PNG),
    "a description": described,
    "a description with an opaque payload": lambda: described({"text": LONG}),
    "a layout": lambda: get_adapter("kimi_k25").layout(640, 480),
    "a packed image": packed,
    "a packed image of a store": lambda: packed("offload"),
    "a materialized image": materialized,
    "a materialized image of an opaque ref": lambda: materialized({"text": LONG}),
    "an adapter": lambda: get_adapter("qwen_vl"),
    "another adapter": lambda: get_adapter("kimi_k25", placeholder="expanded"),
    "a ref": lambda: packed_ref("inline"),
    "a ref of a store": lambda: packed_ref("offload"),
    "an envelope": lambda: packed().item,
    "a job": lambda: ConvertJob(run_id="r", store=StoreSpec(LONG, "r", {"create": False})),
    "a job of long texts": lambda: ConvertJob(to=LONG, run_id=LONG, config=LONG, store=PLACE),
    "a job without a store": lambda: OffloadJob(store=None),
    "a third job": lambda: InlineJob(store=StoreSpec("/x")),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_short_in_logs_and_equal_to_its_copies(name: str) -> None:
    value = VALUES[name]()
    for text in (repr(value), str(value), f"{value}"):
        assert len(text) <= 300
        assert text.startswith(type(value).__name__)
        assert LONG[:100] not in text
        assert "\\x" not in text
    for other in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert other == value
        assert hash(other) == hash(value)
    assert value != 1


def test_a_features_body_is_short_in_logs() -> None:
    for body in (features(), *features().slots()):
        assert len(repr(body)) <= 300
        assert type(body).__name__ in repr(body)
    assert pickle.loads(pickle.dumps(features())) == features()


def test_what_is_shown_says_which_image_it_is() -> None:
    image = materialized()
    for word in ("600x600", "qwen_vl", image.sha256, "held_bytes=1440000"):
        assert word in repr(image)
    assert image.sha256 in repr(packed())
    assert get_adapter("qwen_vl").fingerprint() in repr(get_adapter("qwen_vl"))


def test_two_configurations_are_not_equal() -> None:
    adapters = [
        get_adapter("qwen_vl"),
        get_adapter("qwen_vl", "qwen2_vl"),
        get_adapter("kimi_k25"),
        get_adapter("kimi_k25", placeholder="expanded"),
    ]
    assert len(set(adapters)) == 4
    asked = get_adapter("qwen_vl")
    asked.fingerprint("v2")
    assert asked == adapters[0]


def test_stores_say_their_place_and_run(tmp_path: Path) -> None:
    local = open_store(tmp_path / "images", run_id="exp42")
    assert str(tmp_path / "images")[:60] in repr(local)
    assert "exp42" in repr(local)
    several = open_store(tmp_path, run_ids=[f"exp{number}" for number in range(5000)])
    assert len(repr(several)) <= 300
    bucket = open_store("memory://prefix", run_id="exp42")
    assert "memory://prefix" in repr(bucket)
    cached = open_store(tmp_path / "images", cache_dir=tmp_path / "cache")
    assert repr(cached).startswith("CachedStore(store=LocalStore(")
    deep = tmp_path.joinpath(*["d" * 200] * 5)
    assert len(repr(open_store(deep, cache_dir=deep / "c"))) <= 300


def test_reports_are_short_whatever_they_hold(tmp_path: Path) -> None:
    store: Any = open_store(tmp_path / "images")
    for number in range(50):
        (tmp_path / "images" / f"{number}.png").write_bytes(b"x")
    file = tmp_path / "rollouts.jsonl"
    file.write_text("{")
    for report in (check(store, [file]), collect(store, [file])):
        assert len(repr(report)) <= 300
    for entry in store.entries():
        assert isinstance(entry, Hashable)
        assert len(repr(entry)) <= 300


def test_what_is_read_cannot_be_changed() -> None:
    kinds = [*Shown.__subclasses__()]
    structs = [kind for kind in every(kinds) if issubclass(kind, msgspec.Struct)]
    read = [kind for kind in structs if kind.__module__.split(".")[1] in READ]
    assert {"ImageDescription", "PlacedImage", "MessageImage"} <= {kind.__name__ for kind in read}
    assert [kind for kind in read if not kind.__struct_config__.frozen] == []


def every(kinds: list[type]) -> list[type]:
    """Classes and all that are made of them."""
    return kinds + [one for kind in kinds for one in every(kind.__subclasses__())]
