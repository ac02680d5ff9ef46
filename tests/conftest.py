"""Hypothesis profiles, and the store that tests of servers share.

Profiles: `default` for every run, `quick` at work, `thorough` for a long search, both of the first
`-unshrunk` for mutants. Choose one with
`pytest --hypothesis-profile thorough` or HYPOTHESIS_PROFILE=thorough.
"""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from mmraw_protocol.stores import LocalStore

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
# For mutants: that a test fails counts, not the smallest example with which it does.
for _profile in ("default", "quick"):
    settings.register_profile(
        f"{_profile}-unshrunk",
        parent=settings.get_profile(_profile),
        phases=(Phase.explicit, Phase.generate),
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell lets what it starts in the background ignore these, and every child inherits it.
for _name, _handler in {
    "SIGINT": signal.default_int_handler,
    "SIGQUIT": signal.SIG_DFL,
    "SIGHUP": signal.SIG_DFL,
}.items():
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) == signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)


@pytest.fixture
def store(tmp_path: Path) -> "LocalStore":
    """A store of run exp42."""
    from mmraw_protocol.stores import LocalStore

    return LocalStore(tmp_path / "images", run_id="exp42")
