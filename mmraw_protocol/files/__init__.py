"""JSON documents of any size: found strings are rewritten, every other byte stays.

`rewrite` does the work for any job; `ConvertJob`, `OffloadJob` and `InlineJob` are the jobs of the
command line. `check` reads files as `mmraw validate` does.
"""

from .checking import check, check_stream
from .counts import MOST_REFUSALS, Counts, Refusal
from .job import Job, OnError, Report, Rewriter
from .jobs import ConvertJob, InlineJob, OffloadJob, StoreSpec
from .output import Output, whole_output
from .prefixes import StringPrefixes
from .rewriting import rewrite

__all__ = [
    "MOST_REFUSALS",
    "ConvertJob",
    "Counts",
    "InlineJob",
    "Job",
    "OffloadJob",
    "OnError",
    "Output",
    "Refusal",
    "Report",
    "Rewriter",
    "StoreSpec",
    "StringPrefixes",
    "check",
    "check_stream",
    "rewrite",
    "whole_output",
]
