"""The schemas of spec/ as documents, for tests that change copies of them."""

import copy
import json
from typing import Any

from mmraw_protocol.specdiff.sources import is_schema, spec_of
from mmraw_protocol.wire.schemas import spec_folder

Json = dict[str, Any]


def schema_files() -> dict[str, Json]:
    folder = spec_folder()
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
        if is_schema(path.relative_to(folder).as_posix())
        or path.name in ("errors.json", "limits.json", "modalities.json")
    }


FILES = schema_files()


OLD = spec_of(copy.deepcopy(FILES))
