"""The entry point of the group sglang.srt.plugins: SGLang loads it into every one of its processes.

It registers hooks, which SGLang applies before an engine starts, and does nothing else.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

import os
import pkgutil
import sys
from collections.abc import Callable
from typing import Any

from ...wire.errors import MMRawError
from ..serving.engine import Engine

#: docs/sglang-names.md compares these versions, by `make sglang-names`.
SGLANG = Engine("SGLang", "sglang", oldest=(0, 5, 20), newest=(0, 5, 23))

NAME = "mmraw"

_ENCODER = "sglang.srt.disaggregation.encoder.preprocessor.EncoderPreprocessor"
#: Hooked functions by their names in SGLang, and this package's function around each.
TARGETS = {
    "sglang.srt.managers.multimodal_processor.get_mm_processor": "processor.made",
    "sglang.srt.multimodal.cache.identity.snapshot_media": "processor.snapshot",
    "sglang.srt.runtime_context.publish": "plugin.published",
    f"{_ENCODER}.__init__": "encoder.made",
    f"{_ENCODER}._load_single_item": "encoder.load",
}


def register() -> None:
    """Registers the hooks, where SGLANG_PLUGINS names the plugin; other servers go on without it.

    SGLang logs what a plugin raises and starts all the same. So trouble here ends the process.

    Raises:
        SystemExit: SGLang is too old, or has no such names.
    """
    named = os.environ.get("SGLANG_PLUGINS", "").split(",")
    if NAME not in [name.strip() for name in named]:
        return
    try:
        with SGLANG.starting():
            from sglang.srt.plugins.hook_registry import HookRegistry, HookType

            SGLANG.check_running()
            for target, hook in TARGETS.items():
                pkgutil.resolve_name(target)  # SGLang itself passes over a name that it has not
                around = pkgutil.resolve_name(f"{__package__}.{hook}")
                HookRegistry.register(target, around, HookType.AROUND)
    except Exception as error:  # noqa: BLE001
        sys.exit(f"mmraw cannot start in SGLang: {error} (tried: {SGLANG.versions})")


def published(original: Callable[..., Any], server_args: Any, *, role: str, **given: Any) -> Any:
    """Wraps SGLang's `publish`, which runs before a process starts others.

    Raises:
        MMRawError: unsupported_option (SGLang loads no plugins into processes that load images).
    """
    sizes = server_args.tp_size, server_args.dp_size
    workers = max(sizes) if role == "encoder" else server_args.tokenizer_worker_num
    if workers > 1:
        why = "SGLang would load images in processes into which it loads no plugins: "
        options = "leave out --tokenizer-worker-num, and --tp-size and --dp-size of an encoder"
        with SGLANG.starting():
            raise MMRawError("unsupported_option", why + options)
    return original(server_args, role=role, **given)
