"""Tells whether a vLLM started in this environment would accept refs; does not import vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from ..families import AUTO, get_adapter
from ..integrations.serving.settings import Settings
from ..integrations.vllm.engine import VLLM
from ..integrations.vllm.plugin import CONNECTOR_ENV, NAME, PLUGINS_ENV
from ..wire.errors import MMRawError
from .output import error_dict

RUST_ENV = "VLLM_USE_RUST_FRONTEND"


def vllm_report(variables: Mapping[str, str]) -> dict[str, str]:
    """`state` (on, off or cannot work) and `detail` of the plugin under these variables."""
    listed = variables.get(PLUGINS_ENV)
    if listed is None:
        return _state(
            "off", f"{PLUGINS_ENV}={NAME} turns it on; it is an allow-list for all groups"
        )
    if NAME not in listed.split(","):
        return _state("off", f"{PLUGINS_ENV} is an allow-list for all groups: add {NAME} to it")
    if variables.get(RUST_ENV, "0") not in ("", "0"):
        return _state("cannot work", f"{RUST_ENV}: no plugin of Python runs in that front end")
    if variables.get(CONNECTOR_ENV, NAME) != NAME:
        return _state("on", f"{CONNECTOR_ENV} names another connector, which must pass refs on")
    return _state("on", f"{PLUGINS_ENV} lists it")


def server_report(variables: Mapping[str, str], checkpoint: str) -> dict[str, Any]:
    """Says whether a server would start with these settings: `state` and `detail`.

    Args:
        variables: The server's.
        checkpoint: The model, as `get_adapter` finds it; empty to leave it out.
    """
    detail: list[str] = []
    try:
        settings = Settings.load(variables)
        settings.check_room()
        detail.append(_vllm_here())
        # The server would make one that is missing; this command makes nothing.
        store = "to be made" if settings.store_create else repr(settings.open_store())
        detail.append(f"store {store}")
        if checkpoint:
            adapter = get_adapter(settings.family or AUTO, checkpoint)
            settings.check_family(adapter.family)
            detail.append(f"family {adapter.family}, fingerprint {adapter.fingerprint()}")
    except MMRawError as error:
        return {"state": "refused", "detail": error.message, "error": error_dict(error)}
    if settings.secret is None and settings.identity == "secret":
        detail.append("a secret made at start, for one API server alone")
    return {"state": "ready", "detail": "; ".join(detail)}


def _vllm_here() -> str:
    found = metadata.packages_distributions().get("vllm")
    if not found:
        return "no vLLM here"
    version = metadata.version(found[0])
    is_tried = VLLM.check_version(version)
    return f"vLLM {version}" + ("" if is_tried else f", tried are {VLLM.versions}")


def _state(state: str, detail: str) -> dict[str, str]:
    return {"state": state, "detail": detail}
