"""Refs in an unmodified SGLang server or engine, wherever it takes an image.

Start the server with `SGLANG_PLUGINS=mmraw sglang serve --model-path MODEL` and set what it may
read by MMRAW_* variables (`..serving.settings.Settings`). docs/sglang.md has the whole way.
"""
