"""Fixtures of the tests of reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.reports.judging import Judging


@pytest.fixture
def judging(tmp_path: Path) -> Iterator[Judging]:
    """A journal whose builds are judged."""
    made = Judging(tmp_path)
    yield made
    made.close()
