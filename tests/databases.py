"""PostgreSQL and MariaDB servers for tests, as databases of masters."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bbmeasure.testing.site import free_port
from tests.servers import Server

#: Password that no output may contain, plain and quoted for a URL.
PASSWORD = "s3cr3t:p@ss/w%rd"
QUOTED = "s3cr3t%3Ap%40ss%2Fw%25rd"


class SQLServer(Server):
    """SQL server with an administrator ``admin``, and a user ``reader`` with the rights of ``let_read``."""

    scheme = ""
    #: Signal that ends the server with all its processes.
    end = signal.SIGKILL

    def address(self, database: str, user: str = "admin") -> str:
        """Return SQLAlchemy's URL of a database."""
        return f"{self.scheme}://{user}:{QUOTED}@127.0.0.1:{self.port}/{database}"

    @abstractmethod
    def prepare(self) -> None:
        """Create files before the first start."""

    def execute(self, database: str, *statements: str) -> list[tuple[Any, ...]]:
        """Execute statements as the administrator, in autocommit mode; returns the rows of the last."""
        engine = sa.create_engine(self.address(database), poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
        rows: list[tuple[Any, ...]] = []
        with engine.connect() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
                rows = [tuple(row) for row in result] if result.returns_rows else []
        return rows

    @abstractmethod
    def create(self, database: str) -> None:
        """Create an empty database."""

    @abstractmethod
    def let_read(self, database: str) -> None:
        """Grant ``reader`` SELECT on all existing tables of a database."""

    def start(self) -> None:
        """Start the server; the first start creates its files and users."""
        if not self.port:
            self.port = free_port()
            self.prepare()
        super().start()

    def is_ready(self) -> bool:
        """Return whether the administrator can execute a query."""
        try:
            return self.execute(self.first_database, "SELECT 1") == [(1,)]
        except sa.exc.OperationalError:
            return False

    first_database = ""

    def kill(self) -> None:
        """End the server with all its processes."""
        if self.process is not None:
            self.process.send_signal(self.end)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class PostgreSQL(SQLServer):
    """PostgreSQL server; started by root it runs as Debian's user ``postgres``, as it refuses root."""

    scheme = "postgresql+psycopg2"
    end = signal.SIGQUIT
    first_database = "postgres"

    def prepare(self) -> None:
        """Create a cluster."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        _run(
            [*_as_postgres(), _postgresql("initdb"), "-D", str(self.folder / "data"), "--no-sync", "-U", "admin"]
            + ["--encoding=UTF8", "--locale=C", f"--pwfile={password}", "-A", "scram-sha-256"]
        )

    def command(self) -> list[str]:
        """Return the command line."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "log_statement": "all",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*_as_postgres(), _postgresql("postgres"), "-D", str(self.folder / "data"), *options]

    def create(self, database: str) -> None:
        """Create an empty database."""
        self.execute("postgres", f"CREATE DATABASE {database}")

    def let_read(self, database: str) -> None:
        """Grant ``reader`` SELECT on all existing tables of a database."""
        secret = PASSWORD.replace("%", "%%")  # the driver's placeholder
        self.execute(
            database,
            f"CREATE ROLE reader LOGIN PASSWORD '{secret}'",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        )


class MariaDB(SQLServer):
    """MariaDB server; Buildbot uses it as MySQL."""

    scheme = "mysql+pymysql"
    first_database = "mysql"

    def prepare(self) -> None:
        """Create the system tables, and a script that creates the administrator at the start."""
        _run(
            ["mariadb-install-db", "--no-defaults", *_as_root(), f"--datadir={self.folder}/data", "--skip-test-db"]
            + ["--auth-root-authentication-method=normal"]
        )
        (self.folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS admin@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            *("mariadbd", "--no-defaults", *_as_root(), f"--datadir={self.folder}/data"),
            *("--bind-address=127.0.0.1", "--skip-name-resolve", f"--port={self.port}"),
            *(f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid", f"--init-file={self.folder}/init.sql"),
            *("--general-log", f"--general-log-file={self.folder}/statements"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"),
        ]

    def create(self, database: str) -> None:
        """Create an empty database."""
        self.execute("mysql", f"CREATE DATABASE {database} CHARACTER SET utf8")

    def let_read(self, database: str) -> None:
        """Grant ``reader`` SELECT on all tables of a database."""
        secret = PASSWORD.replace("%", "%%")  # the driver's placeholder
        self.execute(
            "mysql",
            f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{secret}'",
            f"GRANT SELECT ON {database}.* TO reader@'127.0.0.1'",
        )


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr


def _as_postgres() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _postgresql(program: str) -> str:
    """Return the path of a program; Debian installs each release's programs outside of PATH."""
    found = shutil.which(program) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")), default=None)
    assert found is not None, f"{program} not found: see tests/tools/debian_packages.sh"
    return found
