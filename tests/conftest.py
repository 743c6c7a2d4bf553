"""What all tests share: no part of this file needs a reactor, so that every runner can load it."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Failed assertions of the stores' contract suite print what was compared.
pytest.register_assert_rewrite("tests.unit.storage.contract")

# Times differ from machine to machine: no example fails for being slow.
settings.register_profile("dev", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("soak", settings.get_profile("dev"), max_examples=2_000)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


# Whatever runs the tests in the background ignores these, and so would every process that a test starts.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every Hypothesis test as ``fuzz``, so that ``make soak`` finds them."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("fuzz")
