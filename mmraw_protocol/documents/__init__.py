"""JSON documents of any size: found strings are given anew, every other byte stays.

`rewrite` does the work for any job; `ConvertJob`, `OffloadJob` and `InlineJob` are the jobs of the
command line.
"""

from .heads import Heads
from .jobs import ConvertJob, InlineJob, OffloadJob, StorePlace
from .output import Output, whole_output
from .rewrite import Job, OnError, Refusal, Report, Rewriter, Tally, rewrite

__all__ = [
    "ConvertJob",
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
    "Tally",
    "rewrite",
    "whole_output",
]
