"""The entry point of the group vllm.general_plugins: vLLM loads it into every one of its processes.

It imports nothing that engine and workers do not have anyway.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import os

CONNECTOR_ENV = "VLLM_MEDIA_CONNECTOR"
PLUGINS_ENV = "VLLM_PLUGINS"
NAME = "mmraw"


def register() -> None:
    """Registers connector and renderers; VLLM_MEDIA_CONNECTOR may name another connector.

    Raises:
        MMRawError: unsupported_option (vLLM is too old).
        Exception: what vLLM's modules raise.
    """
    from .engine import VLLM

    try:
        with VLLM.starting():
            VLLM.check_running()
            _register()
    except Exception:
        # A server that did not ask for the plugin gets a vLLM without it.
        if NAME in os.environ.get(PLUGINS_ENV, "").split(","):
            raise


def _register() -> None:
    from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY, ImageMediaIO, MediaConnector
    from vllm.renderers.registry import RENDERER_REGISTRY

    from . import renderers
    from .connector import connector_class

    connector = connector_class(MediaConnector, ImageMediaIO)
    MEDIA_CONNECTOR_REGISTRY.register(NAME)(connector)
    renderers.install(RENDERER_REGISTRY)
    os.environ.setdefault(CONNECTOR_ENV, NAME)
