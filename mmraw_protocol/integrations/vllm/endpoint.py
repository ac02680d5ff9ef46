"""The entry point of the group vllm.endpoint_plugins: what looks at requests before vLLM does.

vLLM calls `attach_router` when it builds its application and `init_state` when the model is known.
What either raises ends the start; what importing this raises, vLLM would log and go on.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from ...wire._generated.limits import DEFAULT_LIMITS
from ...wire.errors import MMRawError
from . import plugin, process
from .log import log_start, logger, starting

if TYPE_CHECKING:
    from .process import Served
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

        # Once more: a vLLM that cannot load the other entry point goes on.
        plugin.register()
        with starting():
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
        with starting():
            served = await self._served(state.online_renderer.renderer, args)
        process.serve(served)
        log_start(_facts(served, args))

    async def _served(self, renderer: Any, args: Any) -> Served:
        from .identity import naming_of
        from .model import served_model

        naming = naming_of(self._settings, getattr(args, "api_server_count", None) or 1)
        if not getattr(renderer, "takes_refs", False):
            # Then vLLM would take any uuid for a picture's name.
            message = "vLLM made its renderer before this plugin was loaded"
            raise MMRawError("unsupported_option", message)
        served = await served_model(renderer, self._settings, naming)
        need = served.most_tokens * served.images.token_bytes
        if need > self._settings.inflight_bytes:
            message = (
                "mmraw: a full prompt of new images takes %d bytes, MMRAW_INFLIGHT_BYTES is less"
            )
            logger.warning(message, need)
        return served


def _facts(served: Served, args: Any) -> dict[str, object]:
    images, settings = served.images, served.images.settings
    limits, usual = (msgspec.structs.asdict(given) for given in (settings.limits, DEFAULT_LIMITS))
    is_open = any(getattr(args, name, False) for name in ("enable_scale_out", "tokens_only"))
    features = "on" if is_open else "off (they need --enable-scale-out)"
    return {
        "family": images.adapter.family,
        "fingerprint": images.adapter.fingerprint(),
        "store": images.store,
        "limits": {name: most for name, most in limits.items() if most != usual[name]} or "usual",
        "cache_bytes": settings.cache_size,
        "identity": settings.identity,
        "epoch": settings.epoch or "-",
        "connector": os.environ.get(plugin.CONNECTOR_ENV),
        "features": served.no_features or features,
    }
