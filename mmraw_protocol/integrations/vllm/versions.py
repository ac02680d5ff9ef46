"""The versions of vLLM that the plugin was tried with: docs/versions.md, by `make vllm-matrix`."""

from __future__ import annotations

import re
import sys

from ...wire.errors import MMRawError

OLDEST, NEWEST = (0, 30), (0, 33)
RANGE = f"vLLM {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"


def check_version(version: str) -> bool:
    """Whether a version was tried.

    Args:
        version: As vLLM says it, for example `0.32.0+cpu`; what begins with no number is newer.

    Raises:
        MMRawError: unsupported_option (it is older).
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    numbers = NEWEST if found is None else (int(found[1]), int(found[2]))
    if numbers < OLDEST:
        raise MMRawError("unsupported_option", f"this vLLM is too old: mmraw is for {RANGE}")
    return found is not None and numbers <= NEWEST


def vllm_version() -> str:
    """Of the vLLM that runs here, as it says it."""
    return str(getattr(sys.modules.get("vllm"), "__version__", "unknown"))
