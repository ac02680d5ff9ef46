"""The layout of one image that names parameters of its own.

Source: spec/README.md, section "Messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ..wire.errors import MMRawError
from .base import Adapter
from .built_in import BuiltInAdapter
from .config import checked_config


def with_parameters(adapter: Adapter, parameters: Mapping[str, Any]) -> Adapter:
    """The adapter whose configuration has these layout parameters in place of its own.

    Raises:
        MMRawError: unsupported_option (the family has no such parameter), invalid_config (no value
            of it).
    """
    if not parameters:
        return adapter
    config: Any = getattr(adapter, "config", None)
    known = config.__struct_fields__ if isinstance(adapter, BuiltInAdapter) else ()
    for name in parameters:
        if name not in known:
            message = f"family {adapter.family} has no layout parameter {name}"
            raise MMRawError("unsupported_option", message)
    built_in = cast("BuiltInAdapter[Any, Any]", adapter)
    values = {**msgspec.structs.asdict(config), **parameters}
    made = checked_config(values, built_in.info)
    return type(built_in)(made, built_in.placeholder, built_in.line)
