"""The seed of the attacks: the same each time in `make test`, another one in `make soak`."""

from __future__ import annotations

import os
import random

import pytest

SEED = int(os.environ.get("BBMEASURE_ATTACK_SEED") or 1)


def pytest_report_header() -> str:
    """The line that tells how to repeat a run."""
    return f"attacks: BBMEASURE_ATTACK_SEED={SEED}"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of a test, the same with the same seed."""
    return random.Random(f"{SEED} {request.node.name}")
