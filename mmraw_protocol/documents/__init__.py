"""JSON documents of any size: found strings are given anew, every other byte stays.

`rewrite` does the work for any job; `ConvertJob`, `OffloadJob` and `InlineJob` are the jobs of the
command line. `check` reads files as `mmraw validate` does.
"""

from .checking import MOST_REFUSALS, Checked, Refused, check, check_stream
from .heads import Heads
from .jobs import ConvertJob, InlineJob, OffloadJob, StorePlace
from .output import Output, whole_output
from .rewrite import Job, OnError, Refusal, Report, Rewriter, Tally, rewrite

__all__ = [
    "MOST_REFUSALS",
    "Checked",
    "ConvertJob",
    "Heads",
    "InlineJob",
    "Job",
    "OffloadJob",
    "OnError",
    "Output",
    "Refusal",
    "Refused",
    "Report",
    "Rewriter",
    "StorePlace",
    "Tally",
    "check",
    "check_stream",
    "rewrite",
    "whole_output",
]
