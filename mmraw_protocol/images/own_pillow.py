"""Pillow's decoders with settings of their own.

`Image.MAX_IMAGE_PIXELS`, `ImageFile.LOAD_TRUNCATED_IMAGES`, `PngImagePlugin.MAX_TEXT_CHUNK` and
their like belong to the whole process: other code that sets one would change which images are
refused here, and how much memory they take. So the Python
modules of Pillow are loaded once more under another name; its compiled ones are shared.

Importing this module raises ImportError if Pillow is not installed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from typing import Any

import PIL

_NAME = f"{__name__}_modules"
#: Loading these a second time would make two sets of C types.
_COMPILED = ("_imaging", "_webp")
_NEEDED = (
    "Image",
    "ImageFile",
    "ImagePalette",
    "GifImagePlugin",
    "JpegImagePlugin",
    "PngImagePlugin",
    "WebPImagePlugin",
)


def _load() -> dict[str, Any]:
    for name in _COMPILED:
        with contextlib.suppress(ImportError):
            sys.modules[f"{_NAME}.{name}"] = importlib.import_module(f"PIL.{name}")
    _load_package()
    modules: dict[str, Any] = {name: importlib.import_module(f"{_NAME}.{name}") for name in _NEEDED}
    # Sizes are compared with `Limits`.
    modules["Image"].MAX_IMAGE_PIXELS = None
    return modules


def _load_package() -> None:
    folders = list(PIL.__path__)
    spec = importlib.util.spec_from_file_location(
        _NAME, PIL.__file__, submodule_search_locations=folders
    )
    if spec is None or spec.loader is None:
        raise ImportError("Pillow's modules cannot be found")
    sys.modules[_NAME] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


_modules = _load()

Image: Any = _modules["Image"]
GifImagePlugin: Any = _modules["GifImagePlugin"]
JpegImagePlugin: Any = _modules["JpegImagePlugin"]
PngImagePlugin: Any = _modules["PngImagePlugin"]
WebPImagePlugin: Any = _modules["WebPImagePlugin"]
