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
from .engine import VLLM

if TYPE_CHECKING:
    from ..serving.settings import Settings
    from .process import Served


class MMRawEndpoint:
    """Checks the refs of requests, and opens the connector to those that it has checked."""

    name = plugin.NAME
    required_tasks = None

    def attach_router(self, app: Any) -> None:
        """Puts the checks inside vLLM's authentication, CORS and request ids.

        Raises:
            MMRawError: what `Settings.load` raises.
        """
        from ..serving.settings import Settings
        from .requests import RefRequests

        # Once more: a vLLM that cannot load the other entry point goes on.
        plugin.register()
        with VLLM.starting():
            self._settings: Settings = Settings.load()
        app.add_middleware(RefRequests)
        if os.environ.get(plugin.CONNECTOR_ENV) != plugin.NAME:
            message = "mmraw: %s names another connector, which must hand refs to `mmraw`"
            VLLM.logger.warning(message, plugin.CONNECTOR_ENV)

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Makes the served model's layout the one that refs are compared with.

        Raises:
            MMRawError: unsupported_option (no secret, a renderer that is not ours), what
                `served_model` and `RefImages.check_room` raise.
        """
        with VLLM.starting():
            served = await self._served(state.online_renderer.renderer, args)
        process.serve(served)
        VLLM.log_start(_facts(served, args))

    async def _served(self, renderer: Any, args: Any) -> Served:
        from ..serving.identity import naming_of
        from .model import served_model

        naming = naming_of(self._settings, getattr(args, "api_server_count", None) or 1)
        if not getattr(renderer, "takes_refs", False):
            # Then vLLM would take any uuid for a picture's name.
            message = "vLLM made its renderer before this plugin was loaded"
            raise MMRawError("unsupported_option", message)
        served = await served_model(renderer, self._settings, naming)
        served.images.check_room(served.most_tokens)
        need = served.most_tokens * served.images.token_bytes
        if need > self._settings.inflight_bytes:
            message = (
                "mmraw: a full prompt of new images takes %d bytes, MMRAW_INFLIGHT_BYTES is less"
            )
            VLLM.logger.warning(message, need)
        return served


def _facts(served: Served, args: Any) -> dict[str, object]:
    is_open = any(getattr(args, name, False) for name in ("enable_scale_out", "tokens_only"))
    features = "on" if is_open else "off (they need --enable-scale-out)"
    return {
        **served.images.facts(),
        "connector": os.environ.get(plugin.CONNECTOR_ENV),
        "features": served.no_features or features,
    }
