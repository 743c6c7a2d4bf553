"""SQLiteStorage fulfils the contract of stores."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor

from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.contract import LocalContract


class TestSQLiteStorage(LocalContract):
    """SQLiteStorage fulfils the contract."""

    def make_storage(self, folder: Any) -> SQLiteStorage:
        return SQLiteStorage(folder / "journal.sqlite", reactor=reactor)
