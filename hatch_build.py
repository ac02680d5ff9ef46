"""Puts spec/ and the example pictures into the wheel, as mmraw_protocol/_spec and _examples.

A plain `force-include` would copy them into the environment for an editable install too, where the
copies go stale: there the package reads the checkout itself.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE_DATA = {
    "spec": "mmraw_protocol/_spec",
    "examples/images": "mmraw_protocol/_examples",
}


class PackageDataHook(BuildHookInterface):
    """Runs once for each wheel that is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the package data to every wheel but the editable one."""
        if version == "standard":
            build_data["force_include"].update(PACKAGE_DATA)
