"""What the environment says of refs in a vLLM that is started in it; vLLM is not imported."""

from __future__ import annotations

from collections.abc import Mapping

from ..integrations.vllm.plugin import CONNECTOR_ENV, NAME

PLUGINS_ENV = "VLLM_PLUGINS"
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


def _state(state: str, detail: str) -> dict[str, str]:
    return {"state": state, "detail": detail}
