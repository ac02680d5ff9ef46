"""The main job on real pictures: pack, post, parse, materialize, verify, for every combination."""

from .pictures import example_pictures
from .refusals import Refusal, show_refusals
from .report import write_report
from .run import Journey, Step, run_demo

__all__ = [
    "Journey",
    "Refusal",
    "Step",
    "example_pictures",
    "run_demo",
    "show_refusals",
    "write_report",
]
