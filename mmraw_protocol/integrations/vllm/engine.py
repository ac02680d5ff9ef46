"""The versions of vLLM that the plugin was tried with: docs/versions.md, by `make vllm-matrix`."""

from ..serving.engine import Engine

VLLM = Engine("vLLM", "vllm", oldest=(0, 30), newest=(0, 33))
