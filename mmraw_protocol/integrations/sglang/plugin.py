"""The entry point of the group sglang.srt.plugins: SGLang loads it into every one of its processes.

It registers hooks, which SGLang applies before an engine starts, and does nothing else.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
import pkgutil
import sys
from typing import Any

from ...wire.errors import MMRawError
from .engine import SGLANG

PLUGINS_ENV = "SGLANG_PLUGINS"
NAME = "mmraw"

_SRT = "sglang.srt"
#: What is hooked: its name in SGLang, our function, and the kind of hook.
TARGETS = {
    f"{_SRT}.managers.multimodal_processor.get_mm_processor": ("processor.made", "AROUND"),
    f"{_SRT}.multimodal.cache.identity.snapshot_media": ("identity.snapshot", "AROUND"),
    f"{_SRT}.managers.multi_tokenizer_mixin.MultiTokenizerRouter.__init__": (
        "processor.refuse_workers",
        "BEFORE",
    ),
    f"{_SRT}.disaggregation.encoder.preprocessor.EncoderPreprocessor.__init__": (
        "encoder.made",
        "AFTER",
    ),
    f"{_SRT}.disaggregation.encoder.preprocessor.EncoderPreprocessor._load_single_item": (
        "encoder.load",
        "AROUND",
    ),
}


def register() -> None:
    """Registers the hooks, where SGLANG_PLUGINS names the plugin; other servers go on without it.

    SGLang logs what a plugin raises and starts all the same. So trouble here ends the process.

    Raises:
        SystemExit: SGLang is too old, or has no such names.
    """
    named = os.environ.get(PLUGINS_ENV, "").split(",")
    if NAME not in [name.strip() for name in named]:
        return
    try:
        with SGLANG.starting():
            _register()
    except Exception as error:  # noqa: BLE001
        sys.exit(f"mmraw cannot start in SGLang: {error}")


def _register() -> None:
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType

    if not SGLANG.check_version(SGLANG.version()):
        newer = "mmraw: SGLang %s is newer than %s"
        SGLANG.logger.warning(newer, SGLANG.version(), SGLANG.versions)
    for target, (hook, kind) in TARGETS.items():
        _check_there(target)
        HookRegistry.register(target, _named(hook), HookType[kind])


def _check_there(target: str) -> None:
    found: Any = None
    try:
        found = pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
        found = None
    if found is None:
        message = f"this SGLang has no {target}; mmraw is for {SGLANG.versions}"
        raise MMRawError("unsupported_option", message)


def _named(hook: str) -> Any:
    """One of the functions of this package."""
    return pkgutil.resolve_name(f"{__package__}.{hook}")
