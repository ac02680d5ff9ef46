"""Refs in an unmodified vLLM server, on every route that takes images.

Start the server with `VLLM_PLUGINS=mmraw vllm serve MODEL` and set what it may read by MMRAW_*
variables (`mmraw_protocol.integrations.serving.settings.Settings`); docs/vllm.md has the whole way.
For vLLM 0.30 to 0.33. Only `plugin`, `connector`, `renderers` and `model` touch vLLM; the rest
imports without it.
"""
