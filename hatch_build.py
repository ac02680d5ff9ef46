"""Puts spec/ and the example pictures into the wheel as mmraw_protocol/_spec and _examples.

A plain `force-include` would copy spec/ into the environment for an editable install too, where
the copy goes stale: there the package reads the checkout's spec/ itself.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SpecHook(BuildHookInterface):
    """Runs once for each wheel that is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds both to every wheel but the editable one."""
        if version == "standard":
            build_data["force_include"]["spec"] = "mmraw_protocol/_spec"
            build_data["force_include"]["examples/images"] = "mmraw_protocol/_examples"
