"""The schema files of spec/, as this package carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._generated.schemas import BUNDLES, SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bundles", "schemas", "spec_folder"]


def spec_folder() -> Path:
    """The folder of the schema files: inside the installed package, else the checkout's spec/."""
    # Here and not above: with the package come no modules that reading refs has no use for.
    from pathlib import Path

    package = Path(__file__).parent.parent
    installed = package / "_spec"
    return installed if installed.is_dir() else package.parent / "spec"


def schemas() -> dict[str, dict[str, Any]]:
    """Every JSON Schema document of the protocol, by its `$id`."""
    return _read(SCHEMAS)


def bundles() -> dict[str, dict[str, Any]]:
    """Every schema of whole documents as one document that refers to no other, by its name.

    The name of `urn:mmraw:ref:v3` is `ref-v3`, the `$id` of its bundle
    `urn:mmraw:bundled:ref:v3`.
    """
    return _read(BUNDLES)


def _read(paths: dict[str, str]) -> dict[str, dict[str, Any]]:
    import json

    folder = spec_folder()
    return {
        name: json.loads((folder / path).read_text(encoding="utf-8"))
        for name, path in paths.items()
    }
