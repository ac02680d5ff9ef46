"""Every way of packing an image says the same of its orientation and its alpha."""

import base64
import itertools
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from test_own_renderer import ToyRenderer
from test_preparing import OPAQUE, TRANSPARENT, turned

from mmraw_protocol import MMRawError, get_adapter, pack_images, parse_ref, ref_messages
from mmraw_protocol.cli import main
from mmraw_protocol.integrations.renderers import RawRenderer, raw_data, sized_messages
from mmraw_protocol.stores import LocalStore

QWEN = get_adapter("qwen_vl")
PICTURES = {
    "transparent": TRANSPARENT["rgba"],
    "transparent palette": TRANSPARENT["palette"],
    "opaque alpha": OPAQUE["rgba"],
    "no alpha": OPAQUE["jpeg"],
    "turned": turned(6, "JPEG"),
    "turned back": turned(1, "JPEG"),
}
ALPHAS, ORIENTATIONS = ("refuse", "drop", "white"), ("as-stored", "apply")
Options = dict[str, Any]


def packed(messages: Any, store: LocalStore, options: Options) -> str:
    (image,) = pack_images(messages, QWEN, store=store, **options)
    return image.mm_hash


def made_refs(messages: Any, store: LocalStore, options: Options) -> str:
    (message,) = ref_messages(messages, QWEN, store=store, run_id="x", **options)
    return parse_ref(message["content"][0]["image"]).mm_hash


def rendered(messages: Any, store: LocalStore, options: Options) -> str:
    renderer = RawRenderer(ToyRenderer(), QWEN, store=store, **options)
    return renderer.render(messages).multi_modal_data.mm_hashes["image"][0]


def attached(messages: Any, store: LocalStore, options: Options) -> str:
    rendered = ToyRenderer().render(sized_messages(messages, store=store, **options))
    data = raw_data(rendered, messages, QWEN, store=store, **options)
    return data.mm_hashes["image"][0]


def commanded(messages: Any, store: LocalStore, options: Options) -> str:
    """Returns what `mmraw pack` prints; a rejection as it is reported on standard error."""
    with pytest.MonkeyPatch.context() as patch:
        out, err = StringIO(), StringIO()
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        flags = [text for name, value in options.items() for text in (f"--{name}", value)]
        done = main(["pack", json.dumps(messages), "--storage", "inline", "--run-id", "x", *flags])
    if done:
        code = err.getvalue().removeprefix("mmraw: ").split(" ")[0]
        raise MMRawError(code, "the command fails")  # type: ignore[arg-type]
    return json.loads(out.getvalue())["mm_hashes"]["image"][0]


WAYS: dict[str, Callable[[Any, LocalStore, Options], str]] = {
    "ref_messages": made_refs,
    "RawRenderer": rendered,
    "raw_data": attached,
    "mmraw pack": commanded,
}


def verdict(call: Callable[[], str]) -> str:
    """The hash of the image that is packed, or the code of the refusal."""
    try:
        return call()
    except MMRawError as error:
        return error.code


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store."""
    return LocalStore(tmp_path / "run_x" / "assets" / "images")


@pytest.mark.parametrize("name", PICTURES)
def test_all_ways_agree_under_all_options(name: str, store: LocalStore) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PICTURES[name]).decode()}"
    messages = [{"role": "user", "content": [{"type": "image", "image": url}]}]
    verdicts: set[str] = set()
    for alpha, orientation in itertools.product(ALPHAS, ORIENTATIONS):
        options = {"alpha": alpha, "orientation": orientation}
        want = verdict(lambda options=options: packed(messages, store, options))
        for way, call in WAYS.items():
            got = verdict(lambda call=call, options=options: call(messages, store, options))
            assert got == want, (way, options)
        verdicts.add(want)
    by_default = verdict(lambda: packed(messages, store, {}))
    assert (by_default == "image_transparent") == name.startswith("transparent")
    for way, call in WAYS.items():
        assert verdict(lambda call=call: call(messages, store, {})) == by_default, way
    counts = {"transparent": 3, "transparent palette": 3, "turned": 2}
    assert len(verdicts) == counts.get(name, 1)
