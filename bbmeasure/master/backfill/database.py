"""Read-only access to a database of Buildbot; its errors contain no passwords.

Queries run in short read-only transactions that lock no rows, so that a running master is not delayed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from bbmeasure.errors import StorageUnavailableError

#: The statement that begins a read-only transaction with a consistent snapshot.  Its effect ends with the transaction:
#: behind a connection pool the master may use the same connection next.
_BEGIN = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "mariadb": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
}
#: Arguments of a URL that Buildbot itself reads and no driver knows.
_BUILDBOT_ARGUMENTS = ("max_idle", "storage_engine", "use_unicode", "serialize_access")
_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)

#: Runs a query and returns all its rows.
Run = Callable[[Any], Sequence[Any]]


class Database:
    """The named tables of the database at a URL of SQLAlchemy; StorageUnavailableError where it cannot be read."""

    def __init__(self, url: str, tables: Sequence[str], connect_args: Optional[Mapping[str, Any]] = None) -> None:
        address = _driver_url(url)
        self._secrets = _secrets(address)
        with self._translated_errors():
            self._engine = sa.create_engine(address, connect_args=dict(connect_args or {}))
        metadata = sa.MetaData()
        with self._translated_errors(), self._begun() as connection:
            there = set(sa.inspect(connection).get_table_names())
            missing = [name for name in tables if name not in there]
            if missing:
                raise StorageUnavailableError(f"database: expected one of Buildbot, got none with a table {missing[0]}")
            metadata.reflect(connection, only=tables, resolve_fks=False)
        self.tables: Mapping[str, sa.Table] = metadata.tables

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """One read-only transaction: all its queries see the same snapshot."""
        with self._translated_errors(), self._begun() as connection:
            yield lambda query: connection.execute(query).all()

    @contextmanager
    def _begun(self) -> Iterator[sa.engine.Connection]:
        with self._engine.connect() as connection:
            begin = _BEGIN.get(self._engine.dialect.name)
            if begin is not None:
                connection.exec_driver_sql(begin)
            yield connection

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn errors of drivers, which may contain the URL, into StorageUnavailableError."""
        try:
            yield
        except ModuleNotFoundError as error:
            raise StorageUnavailableError(
                f"database: its URL needs the driver {error.name}: install it beside bbmeasure, or name one that is "
                "there, such as postgresql+psycopg2:// or mysql+pymysql://"
            ) from None
        except (sa.exc.SQLAlchemyError, TypeError, ValueError, OSError) as error:
            raise StorageUnavailableError(f"database: {self._without_secrets(error)}") from None

    def _without_secrets(self, error: Exception) -> str:
        lines = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
        text = re.sub(r"[\w+]+://\S*", "...", lines[0])
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:300]


def _driver_url(url: str) -> URL:
    """The URL for the driver, without the arguments that Buildbot reads."""
    unreadable = StorageUnavailableError(
        "database: its URL cannot be read: expected DIALECT+DRIVER://USER:PASSWORD@HOST/DATABASE, "
        "with @ / % in a password written as %40 %2F %25"
    )
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise unreadable from None
    if parsed.host and url.partition("?")[0].count("@") > 1:  # part of the password would be read as the host
        raise unreadable
    query = {name: value for name, value in parsed.query.items() if name not in _BUILDBOT_ARGUMENTS}
    if parsed.get_backend_name() in ("mysql", "mariadb"):
        query["charset"] = "utf8mb4"  # a superset of the utf8 that Buildbot requires
    path = parsed.database
    if parsed.get_backend_name() == "sqlite" and path and not path.startswith("file:") and not Path(path).is_file():
        raise StorageUnavailableError(f"database: no file {path}")
    return parsed.set(query=query)


def _secrets(address: URL) -> list[str]:
    """The texts that errors must not contain."""
    secrets = [str(address.password)] if address.password else []
    for name, value in address.query.items():
        if _SECRET.search(name):
            secrets += [value] if isinstance(value, str) else list(value)
    return sorted(secrets, key=len, reverse=True)
