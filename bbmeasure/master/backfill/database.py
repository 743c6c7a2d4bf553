"""A database of Buildbot's, opened to be read: it cannot be written this way, and no error says a password.

Each visit is one short read-only transaction that locks no row, so that a running master is not held up.
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

#: How each system is told that what follows only reads, and sees the database as it is now.  Nothing of it outlasts
#: the transaction: behind a pool of connections the next one to have this connection may be the master.
_BEGIN = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "mariadb": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
}
#: Arguments that Buildbot itself takes from a URL, which no driver knows.
_BUILDBOTS = ("max_idle", "storage_engine", "use_unicode", "serialize_access")
_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)

#: Asks a question and has all its rows.
Ask = Callable[[Any], Sequence[Any]]


class Database:
    """The named tables of the database at a URL of SQLAlchemy's; StorageUnavailableError where it cannot be read."""

    def __init__(self, url: str, tables: Sequence[str], connect_args: Optional[Mapping[str, Any]] = None) -> None:
        address = _address(url)
        self._secrets = _secrets(address)
        with self._speaking():
            self._engine = sa.create_engine(address, connect_args=dict(connect_args or {}))
        metadata = sa.MetaData()
        with self._speaking(), self._begun() as connection:
            there = set(sa.inspect(connection).get_table_names())
            missing = [name for name in tables if name not in there]
            if missing:
                raise StorageUnavailableError(f"database: expected one of Buildbot, got none with a table {missing[0]}")
            metadata.reflect(connection, only=tables, resolve_fks=False)
        self.tables: Mapping[str, sa.Table] = metadata.tables

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def visit(self) -> Iterator[Ask]:
        """One transaction: all that is asked in it is answered of one moment."""
        with self._speaking(), self._begun() as connection:
            yield lambda query: connection.execute(query).all()

    @contextmanager
    def _begun(self) -> Iterator[sa.engine.Connection]:
        with self._engine.connect() as connection:
            begin = _BEGIN.get(self._engine.dialect.name)
            if begin is not None:
                connection.exec_driver_sql(begin)
            yield connection

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Errors in words of ours: a driver's may hold the address."""
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
        said = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
        text = re.sub(r"[\w+]+://\S*", "...", said[0])
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:300]


def _address(url: str) -> URL:
    """The address as a driver wants it, without what Buildbot takes from it."""
    unreadable = StorageUnavailableError(
        "database: its URL cannot be read: expected DIALECT+DRIVER://USER:PASSWORD@HOST/DATABASE, "
        "with @ / % in a password written as %40 %2F %25"
    )
    try:
        made = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise unreadable from None
    if made.host and url.partition("?")[0].count("@") > 1:  # else a part of the password is taken for the host
        raise unreadable
    query = {name: value for name, value in made.query.items() if name not in _BUILDBOTS}
    if made.get_backend_name() in ("mysql", "mariadb"):
        query["charset"] = "utf8mb4"  # of which the utf8 that Buildbot insists on is a part
    path = made.database
    if made.get_backend_name() == "sqlite" and path and not path.startswith("file:") and not Path(path).is_file():
        raise StorageUnavailableError(f"database: no file {path}")
    return made.set(query=query)


def _secrets(address: URL) -> list[str]:
    """What no error may say."""
    found = [str(address.password)] if address.password else []
    for name, value in address.query.items():
        if _SECRET.search(name):
            found += [value] if isinstance(value, str) else list(value)
    return sorted(found, key=len, reverse=True)
