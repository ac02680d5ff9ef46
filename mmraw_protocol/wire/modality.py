"""Video and audio where images are looked for: rejected by name, never skipped.

Source: spec/modalities.json, spec/README.md, section "Modalities".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ._generated.modalities import UNSUPPORTED
from .errors import MMRawError


def unsupported(modality: str, path: str) -> MMRawError:
    """The error for a modality of spec/modalities.json."""
    message = f"{modality} is not supported, only images are; {UNSUPPORTED[modality]}"
    return MMRawError("modality_unsupported", message, path)


def check_modality(modality: object, path: str) -> None:
    """Refuses video and audio; any other name is left to the caller.

    Raises:
        MMRawError: modality_unsupported.
    """
    if isinstance(modality, str) and modality in UNSUPPORTED:
        raise unsupported(modality, path)


def check_maps(maps: Mapping[str, Any]) -> None:
    """Refuses maps (as `mm_hashes`, by their names) that list something under video or audio.

    Raises:
        MMRawError: modality_unsupported, with the list's path.
    """
    for name, by_modality in maps.items():
        if not isinstance(by_modality, Mapping):
            continue
        for modality in UNSUPPORTED:
            rows: object = cast("Mapping[str, Any]", by_modality).get(modality)
            is_list = isinstance(rows, Sequence) and not isinstance(rows, str)
            if is_list and len(cast("Sequence[object]", rows)) > 0:
                raise unsupported(modality, f"$.{name}.{modality}")
