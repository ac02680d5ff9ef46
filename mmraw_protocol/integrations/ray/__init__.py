"""Ray Data: checks and rewrites Datasets, with the functions of `mmraw_protocol.files.batches`.

    import mmraw_protocol.integrations.ray as mmraw_ray

    done = mmraw_ray.convert(mmraw_ray.read_rows("s3://…/rollouts"), to="v3", run_id="exp42")
    summary = done.write("s3://…/new", refused="s3://…/refused")

Retries, back-pressure and spilling are Ray's: see its DataContext. Needs the extra `ray`.
"""

from .lines import read_lines
from .parts import Parts, Summary
from .tables import read_rows
from .work import Rewriting, convert, fsck, inline, offload, stats, summary, validate

#: With these in `runtime_env={"env_vars": …}` of `ray.init`, workers give back memory that they do
#: not use. Arrow's pool and glibc's malloc keep it otherwise.
WORKER_VARIABLES = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(2 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}

__all__ = [
    "WORKER_VARIABLES",
    "Parts",
    "Rewriting",
    "Summary",
    "convert",
    "fsck",
    "inline",
    "offload",
    "read_lines",
    "read_rows",
    "stats",
    "summary",
    "validate",
]
