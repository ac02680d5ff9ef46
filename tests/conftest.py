"""Hypothesis profiles: `default` for every run, `quick` at work, `thorough` for a long search.

Choose one with `pytest --hypothesis-profile thorough` or HYPOTHESIS_PROFILE=thorough.
"""

import os

from hypothesis import HealthCheck, settings

# Under CI the same examples are tried in every run, so that a failure is the change's own.
settings.register_profile(
    "default",
    max_examples=100,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=15)
settings.register_profile(
    "thorough",
    parent=settings.get_profile("default"),
    max_examples=5000,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
