"""The entry point of the group vllm.endpoint_plugins: what looks at requests before vLLM does.

vLLM calls `attach_router` when it builds its application and `init_state` when the model is known.
What either raises ends the start; what importing this raises, vLLM would log and go on.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...wire.errors import MMRawError
from . import plugin, process
from .log import logger

if TYPE_CHECKING:
    from .settings import Settings


class MMRawEndpoint:
    """Checks the refs of requests, and opens the connector to those that it has checked."""

    name = plugin.NAME
    required_tasks = None

    def attach_router(self, app: Any) -> None:
        """Puts the checks inside vLLM's authentication, CORS and request ids.

        Raises:
            MMRawError: what `Settings.load` raises.
        """
        from .requests import RefRequests
        from .settings import Settings

        # Once more: vLLM goes on where the other entry point of this package failed.
        plugin.register()
        self._settings: Settings = Settings.load()
        app.add_middleware(RefRequests)
        if os.environ.get(plugin.CONNECTOR_ENV) != plugin.NAME:
            message = "mmraw: %s names another connector, which must hand refs to `mmraw`"
            logger.warning(message, plugin.CONNECTOR_ENV)

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Makes the served model's layout the one that refs are compared with.

        Raises:
            MMRawError: unsupported_option (no secret, a renderer that is not ours), what
                `served_model` raises.
        """
        from .identity import naming_of
        from .model import served_model

        try:
            naming = naming_of(self._settings, getattr(args, "api_server_count", None) or 1)
            renderer = state.online_renderer.renderer
            if not getattr(renderer, "takes_refs", False):
                # Then vLLM would take any uuid for a picture's name.
                message = "vLLM made its renderer before this plugin was loaded"
                raise MMRawError("unsupported_option", message)
            served = await served_model(renderer, self._settings, naming)
        except MMRawError as error:
            logger.error("mmraw cannot start: %s", error)
            raise
        process.serve(served)
        logger.info("mmraw takes refs: family %s", served.images.adapter.family)
        if served.no_features is not None:
            logger.warning("mmraw: %s", served.no_features)
