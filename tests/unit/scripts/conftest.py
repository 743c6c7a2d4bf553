"""A folder with functions to time."""

from __future__ import annotations

import pytest

from tests.unit.scripts.timed_functions import FUNCTIONS


@pytest.fixture
def project(tmp_path):
    """A folder with a module of functions."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    return folder
