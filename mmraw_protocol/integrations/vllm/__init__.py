"""Refs in the generate requests of an unmodified vLLM server.

Start the server with `vllm serve MODEL --enable-scale-out --middleware
mmraw_protocol.integrations.vllm.MMRawMiddleware` and set what it may read by MMRAW_* variables
(`Settings`); docs/vllm.md has the whole way. Tested with vLLM 0.32. Only `connection` and
`handover` touch vLLM; the rest is plain ASGI and imports without it.
"""

from .middleware import MMRawMiddleware
from .resolver import ItemMaker, Resolver
from .settings import Settings

__all__ = ["ItemMaker", "MMRawMiddleware", "Resolver", "Settings"]
