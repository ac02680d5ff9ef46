"""Tiny models for SGLang, and its engine of one without the scheduler.

Everything of `Model` is also used where a whole server runs (gpu/).
"""

# pyright: reportMissingImports=false

import asyncio
import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from checkpoints import make_glm5_next, make_internvl_chat, make_kimi, make_nemotron, make_qwen3_5
from PIL import Image
from published_kimi import PublishedKimi
from tiny_models import make_qwen3_vl
from tiny_processors import make_gemma4, make_glm4v, make_internvl, make_mistral3

from mmraw_protocol import format_ref
from mmraw_protocol.families import Adapter, get_adapter
from mmraw_protocol.integrations.serving.ref_images import RefImages
from mmraw_protocol.stores import LocalStore
from tests.described_refs import ref_of

RUN = "exp42"


#: The recipe of its folder, and the text with one image that the model's template gives.
MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "qwen3_vl": (make_qwen3_vl, "<|vision_start|><|image_pad|><|vision_end|>"),
    "qwen3_5": (make_qwen3_5, "<|vision_start|><|image_pad|><|vision_end|>"),
    "kimi_k25": (make_kimi, "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>"),
    "glm4v": (make_glm4v, "<|begin_of_image|><|image|><|end_of_image|>"),
    "glm5_next": (make_glm5_next, "<|begin_of_image|><|image|><|end_of_image|>"),
    "gemma4": (make_gemma4, "<|image|>"),
    "mistral3": (make_mistral3, "[IMG]"),
    "nemotron": (make_nemotron, "<image>"),
    "internvl": (make_internvl, "<IMG_CONTEXT>"),
    "internvl_chat": (make_internvl_chat, "<image>"),
}


#: Layout parameters of models whose folders have no image processor, as SGLang has them.
#: Of equally good grids it takes the larger one, whatever the picture's size: so does tile 1.
_TILES = {"image_seq_length": 256, "min_patches": 1, "max_patches": 12, "tile": 1}
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "internvl_chat": ("internvl", {"crop_to_patches": True, **_TILES}),
}


#: Those whose processor only their published checkpoints bring; tests put another in its place.
PUBLISHED = ("kimi_k25",)
#: Those whose refs SGLang takes, and those of them whose prompts it takes as token ids.
TEXT_ALONE = ("internvl", "internvl_chat")
SERVED = tuple(name for name in MODELS if name != "nemotron")
BY_IDS = tuple(name for name in SERVED if name not in TEXT_ALONE)


class Model:
    """A tiny model, and refs for it.

    Args:
        name: Of the model, in MODELS.
        folder: For the checkpoint; made where it is not there.
        store: The store of its refs.
    """

    def __init__(self, name: str, folder: Path, store: LocalStore) -> None:
        make, self.image = MODELS[name]
        self.name, self.store, self.folder = name, store, folder
        if not folder.exists():
            make(folder)
        self.adapter: Adapter = get_adapter(*LAYOUTS.get(name, ("auto", folder)))

    def ref(self, data: bytes, *, inline: bool = False, **changes: Any) -> str:
        """A ref of an encoded image."""
        source = {"raw_uri": data_url(data)} if inline else {"raw_image_id": self.store.put(data)}
        return format_ref(ref_of(self.adapter, data, **({"run_id": RUN} | source | changes)))

    def prompt(self, images: int) -> str:
        """A text with places of so many images."""
        return "a" + "".join(f"{self.image}b" for _ in range(images))


class Engine(Model):
    """SGLang's TokenizerManager of a tiny model, its hooks applied.

    Args:
        name: As `Model` has it; so are the next two.
        folder: For the checkpoint.
        store: The store of its refs.
        settings: MMRAW_* variables.
        options: Of SGLang.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        store: LocalStore,
        settings: dict[str, str] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(name, folder, store)
        settings = {"MMRAW_STORE": str(store.root), "MMRAW_RUN_ID": RUN, **(settings or {})}
        with variables(settings):
            self.manager = manager_of(folder, **(options or {}))
        self.processor = self.manager.mm_processor

    @property
    def transformers(self) -> Any:
        """Transformers' own image processor of the model."""
        from transformers import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(self.folder)

    @staticmethod
    def open(data: bytes) -> Any:
        """The picture of a file."""
        return Image.open(io.BytesIO(data))

    def encode(self, text: str) -> list[int]:
        """Its token ids."""
        return self.manager.tokenizer.encode(text)

    def processed(self, *images: Any, prompt: Any = None, **fields: Any) -> Any:
        """Returns what the scheduler would get of a request to /generate."""
        prompt = self.prompt(len(images)) if prompt is None else prompt
        given = {"text": prompt} if isinstance(prompt, str) else {"input_ids": prompt}
        request = {"image_data": list(images), "sampling_params": {}, **given, **fields}
        return asyncio.run(self._tokenized(request))

    async def _tokenized(self, fields: dict[str, Any]) -> Any:
        from sglang.srt.managers.io_struct import GenerateReqInput

        request = GenerateReqInput(**fields)
        request.normalize_batch_and_arguments()
        self.manager._init_req_state(request, None)
        try:
            return await self.manager._tokenize_one_request(request)
        finally:
            self.manager.rid_to_state.pop(request.rid, None)


def manager_of(folder: Path, **options: Any) -> Any:
    """SGLang's own, for a model in a folder; nothing listens on its other side."""
    from sglang.srt import runtime_context
    from sglang.srt.managers import tokenizer_manager
    from sglang.srt.server_args import PortArgs, ServerArgs

    arguments = ServerArgs(
        model_path=str(folder), device="cpu", disable_radix_cache=True, **options
    )
    # SGLang asks for the GPU's generation where it serves GLM-5.
    with mock.patch("torch.cuda.get_device_capability", return_value=(9, 0)):
        runtime_context.publish(arguments, role="tokenizer")
    made = published(folder) or tokenizer_manager.get_processor_wrapper()
    with mock.patch.object(tokenizer_manager, "get_processor_wrapper", return_value=made):
        return tokenizer_manager.TokenizerManager(arguments, PortArgs.init_new(arguments))


def images_of(manager: Any) -> RefImages:
    """The pictures of refs that the plugin has for a manager."""
    cells = manager.mm_processor.process_mm_data_async.__closure__
    (images,) = [c.cell_contents for c in cells if isinstance(c.cell_contents, RefImages)]
    return images


def published(folder: Path) -> Any:
    """The processor that a published checkpoint brings, where it is not Transformers'.

    Of Nemotron-H Omni's, SGLang uses the tokenizer alone.
    """
    from transformers import AutoProcessor, AutoTokenizer

    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if kind == "kimi_k25":
        return PublishedKimi(AutoProcessor.from_pretrained(folder))
    return AutoTokenizer.from_pretrained(folder) if kind == "nemotron_h_omni" else None


@contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """An environment with these MMRAW_* variables alone."""
    before = {name: text for name, text in os.environ.items() if name.startswith("MMRAW_")}
    for name in before:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update(before)


def data_url(data: bytes) -> str:
    """The data: URL of an encoded image."""
    kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif"}
    kind = next(kind for start, kind in kinds.items() if data.startswith(start))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
