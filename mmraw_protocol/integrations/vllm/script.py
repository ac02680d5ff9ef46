"""Refs in a script that uses vLLM's `LLM`, where MMRAW_MODEL says which layout they must have."""

from __future__ import annotations

import os
from functools import cache

from ...families import AUTO, get_adapter
from ...wire.errors import MMRawError
from ..serving.environment import MODEL_ENV
from ..serving.identity import naming_of
from ..serving.ref_images import RefImages
from ..serving.settings import Settings

#: The settings of this process's environment.
settings = cache(Settings.load)


@cache
def script_images() -> RefImages:
    """The images of this process under the configuration in MMRAW_MODEL.

    Raises:
        MMRawError: unsupported_option (MMRAW_MODEL is not set), what `Settings.load` and opening
            the store and `get_adapter` raise.
    """
    folder = os.environ.get(MODEL_ENV, "").strip()
    if not folder:
        message = f"{MODEL_ENV} names the checkpoint's folder; without it no ref can be checked"
        raise MMRawError("unsupported_option", message)
    # No request names spans here, so a family's placeholder convention does not matter.
    adapter = get_adapter(settings().family or AUTO, folder)
    return RefImages(adapter, settings(), naming_of(settings(), api_servers=1))
