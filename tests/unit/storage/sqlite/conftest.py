"""The fixture that opens a store in the test's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor

from bbmeasure.storage.sqlite.store import SQLiteStorage


@pytest.fixture
def open_storage(tmp_path: Path) -> Any:
    """A function that opens the test's journal; it is closed after the test."""
    made: list[SQLiteStorage] = []

    def open_it(kind: type[SQLiteStorage] = SQLiteStorage, **how: Any) -> SQLiteStorage:
        made.append(kind(tmp_path / "j.sqlite", reactor=reactor, **how))
        return made[-1]

    yield open_it
    for storage in made:
        storage.close()
