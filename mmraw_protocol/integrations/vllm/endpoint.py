"""The entry point of the group vllm.endpoint_plugins: what looks at requests before vLLM does.

vLLM calls `attach_router` when it builds its application and `init_state` when the model is known.
What either raises ends the start; what importing this raises, vLLM would log and go on.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from ...wire.errors import MMRawError
from . import plugin, process

if TYPE_CHECKING:
    from .settings import Settings

logger = logging.getLogger("mmraw_protocol.vllm")


class MMRawEndpoint:
    """Checks the refs of requests, and opens the connector to those that it has checked."""

    name = plugin.NAME
    required_tasks = None

    def attach_router(self, app: Any) -> None:
        """Puts the checks inside vLLM's authentication, CORS and request ids.

        Raises:
            MMRawError: what `Settings.load` raises.
        """
        from .settings import Settings
        from .url_requests import UrlRequests

        # Once more: vLLM goes on where the other entry point of this package failed.
        plugin.register()
        self._settings: Settings = Settings.load()
        app.add_middleware(UrlRequests)
        if os.environ.get(plugin.CONNECTOR_ENV) != plugin.NAME:
            message = "mmraw: %s names another connector, which must hand refs to `mmraw`"
            logger.warning(message, plugin.CONNECTOR_ENV)

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Makes the served model's layout the one that refs are compared with.

        Raises:
            MMRawError: unknown_family, invalid_config, what opening the store raises, and what the
                server's processor gets wrong on trial pictures.
        """
        failed: MMRawError | None = None
        try:
            await asyncio.to_thread(self._open, state.online_renderer.renderer)
        except MMRawError as error:
            failed = error
        if failed is not None:
            logger.error("mmraw cannot start: %s", failed)
            raise failed

    def _open(self, renderer: Any) -> None:
        from .connection import served_adapter, tried_items
        from .families import target_of
        from .process import Served
        from .ref_images import RefImages

        adapter = served_adapter(renderer, self._settings)
        target_id, _ = tried_items(renderer, adapter)
        images = RefImages(adapter, self._settings)
        process.serve(Served(images, target_of(adapter), target_id))
        logger.info("mmraw takes refs as image URLs: family %s", adapter.family)
