"""JSON documents of any size: found strings are rewritten, every other byte stays.

`rewrite` does the work for any job; `ConvertJob`, `OffloadJob` and `InlineJob` are the jobs of the
command line. `check` reads files as `mmraw validate` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checking import check, check_stream
    from .counts import MOST_REFUSALS, Counts, Refusal
    from .heads import Heads
    from .job import Job, OnError, Report, Rewriter
    from .jobs import ConvertJob, InlineJob, OffloadJob, StorePlace
    from .output import Output, whole_output
    from .rewriting import rewrite

__all__ = [
    "MOST_REFUSALS",
    "ConvertJob",
    "Counts",
    "Heads",
    "InlineJob",
    "Job",
    "OffloadJob",
    "OnError",
    "Output",
    "Refusal",
    "Report",
    "Rewriter",
    "StorePlace",
    "check",
    "check_stream",
    "rewrite",
    "whole_output",
]

#: The module of each name: checking needs no stores, rewriting no checks.
_MODULES = {
    "ConvertJob": "jobs",
    "Counts": "counts",
    "Heads": "heads",
    "InlineJob": "jobs",
    "Job": "job",
    "MOST_REFUSALS": "counts",
    "OffloadJob": "jobs",
    "OnError": "job",
    "Output": "output",
    "Refusal": "counts",
    "Report": "job",
    "Rewriter": "job",
    "StorePlace": "jobs",
    "check": "checking",
    "check_stream": "checking",
    "rewrite": "rewriting",
    "whole_output": "output",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value
