"""Looking after stores: check every object, collect what nothing refers to, copy between stores.

`check` is `mmraw store fsck`, `collect` is `mmraw store gc`, `copy_store` is `mmraw store sync`.
"""

from .collect import CollectReport, collect
from .copying import CopyReport, copy_store
from .fsck import FsckReport, check
from .references import Mention, Problem, References, read_references

__all__ = [
    "CollectReport",
    "CopyReport",
    "FsckReport",
    "Mention",
    "Problem",
    "References",
    "check",
    "collect",
    "copy_store",
    "read_references",
]
