"""The processor of images that Kimi K2.5's published checkpoints bring, as far as SGLang calls it.

The checkpoints' own code is not of this project; this has its names over Transformers' processor of
the same pictures.
"""

from typing import Any


class PublishedKimi:
    """A processor with the names that SGLang uses of the published one."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self.tokenizer = processor.tokenizer
        self.image_processor = self.media_processor = PublishedMedia(processor.image_processor)

    def __call__(self, text: list[str], medias: Any = (), **_: Any) -> dict[str, Any]:
        images = [media["image"] for media in medias]
        found = self.tokenizer(text, return_tensors="pt")
        pixels = self._processor.image_processor(images=images, return_tensors="pt")
        return {
            "input_ids": found["input_ids"],
            "pixel_values": pixels["pixel_values"],
            "grid_thws": pixels["image_grid_thw"],
        }


class PublishedMedia:
    """Its part for pictures."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        size = processor.size
        self.media_proc_cfg = {
            "in_patch_limit": 16384,
            "patch_size": processor.patch_size,
            "merge_kernel_size": processor.merge_size,
            "patch_limit_on_one_side": size["max_height"],
            "fixed_output_tokens": None,
            "image_mean": list(processor.image_mean),
            "image_std": list(processor.image_std),
        }

    def media_tokens_calculator(self, media: dict[str, Any]) -> int:
        """The number of an image's tokens."""
        found = self._processor(images=[media["image"]], return_tensors="pt")
        return int(found["image_grid_thw"].prod()) // self._processor.merge_size**2
