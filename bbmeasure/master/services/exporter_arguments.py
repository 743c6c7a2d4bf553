"""Keyword arguments of InfluxDBInstance and VictoriaMetricsInstance."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Optional, TypeVar, Union

from bbmeasure import times
from bbmeasure.capture.plan import check_flag
from bbmeasure.errors import QueryError
from bbmeasure.export.interfaces import OutboxLimits
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server

Arguments = TypeVar("Arguments", bound="ExporterArguments")


@dataclass(frozen=True)
class ExporterArguments:
    """Arguments of both instances; raises MeasureError unless all are valid.

    Args:
        url: URL of the server, without credentials.
        database: Database on the server.
        username: User name, may be a secret.
        password: Password, may be a secret.
        token: Token instead of user name and password, may be a secret.
        verifyTLS: Whether the server's certificate is verified.
        caFile: PEM file of certificates that are trusted instead of the system's.
        timeout: Seconds until a request fails.
        tagBuildNumber: Whether the build's number is a tag instead of a field.
        outboxMaxBytes: Maximum size of the backlog in bytes; older points are dropped.
        outboxMaxAge: Maximum age of pending points, as ``"30d"`` or in seconds; older points are dropped.
    """

    url: str
    database: Optional[str]
    username: Optional[str] = None
    password: Optional[str] = None
    token: Optional[str] = None
    verifyTLS: bool = True
    caFile: Optional[str] = None
    timeout: float = 10
    tagBuildNumber: bool = False
    outboxMaxBytes: Optional[int] = None
    outboxMaxAge: Union[str, float, None] = None

    #: Whether the server stores numbers only, and whether it gets metadata of series, alerts and what is usual.
    numbers_only: ClassVar[bool] = False
    metadata: ClassVar[bool] = True
    #: HTTP authentication scheme of the token.
    token_scheme: ClassVar[str] = "Token"  # noqa: S105  (no secret)

    def __post_init__(self) -> None:
        if self.token is not None and (self.username is not None or self.password is not None):
            raise QueryError("token: expected it alone, without username and password")
        if self.password is not None and self.username is None:
            raise QueryError("password: expected a username with it")
        check_flag("verifyTLS", self.verifyTLS)
        check_flag("tagBuildNumber", self.tagBuildNumber)
        _check_seconds("timeout", self.timeout)
        self.limits()
        self.server()

    @classmethod
    def of(cls: type[Arguments], arguments: Mapping[str, Any]) -> Arguments:
        """Return the arguments of a call with keywords; raises TypeError for unknown and missing ones."""
        return cls(**inspect.signature(cls).bind(**arguments).arguments)

    def server(self, *, hide_username: bool = False) -> Server:
        """Return the server with its credentials; ``hide_username`` hides the user name in messages."""
        return Server(
            self.url,
            self.database or "",
            self.username,
            self.password,
            self.token,
            verify_tls=self.verifyTLS,
            ca_file=self.caFile,
            timeout=float(self.timeout),
            token_scheme=self.token_scheme,
            hide_username=hide_username,
        )

    def writer(self) -> LineWriter:
        """Return the serializer of the points."""
        return LineWriter(tag_build_number=self.tagBuildNumber, numbers_only=self.numbers_only)

    def limits(self) -> OutboxLimits:
        """Return the limits of the backlog."""
        size, age = self.outboxMaxBytes, self.outboxMaxAge
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise QueryError(f"outboxMaxBytes {size!r}: expected a whole number of bytes")
        if isinstance(age, str):
            age = times.read_age(age, "outboxMaxAge")
        return OutboxLimits(size, None if age is None else _check_seconds("outboxMaxAge", age))


@dataclass(frozen=True)
class InfluxDBArguments(ExporterArguments):
    """Arguments of InfluxDBInstance.

    Args:
        retentionPolicy: Retention policy to write and read, by default the database's default policy.
        createDatabase: Whether a missing database is created.
        answers: Whether the server answers getters, page and API instead of the journal.
    """

    retentionPolicy: Optional[str] = None
    createDatabase: bool = True
    answers: bool = False

    def __post_init__(self) -> None:
        _check_name("database", self.database)
        if self.retentionPolicy is not None:
            _check_name("retentionPolicy", self.retentionPolicy)
        check_flag("createDatabase", self.createDatabase)
        check_flag("answers", self.answers)
        super().__post_init__()

    def server(self, *, hide_username: bool = False) -> Server:
        """Return the server with its credentials and the retention policy."""
        return replace(super().server(hide_username=hide_username), retention_policy=self.retentionPolicy)


@dataclass(frozen=True)
class VictoriaMetricsArguments(ExporterArguments):
    """Arguments of VictoriaMetricsInstance: ``database`` becomes the label ``db``, ``token`` is a bearer token."""

    database: Optional[str] = None

    numbers_only: ClassVar[bool] = True
    metadata: ClassVar[bool] = False
    token_scheme: ClassVar[str] = "Bearer"  # noqa: S105  (no secret)
    createDatabase: ClassVar[bool] = False
    answers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.database is not None:
            _check_name("database", self.database)
        super().__post_init__()


def _check_name(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise QueryError(f"{name} {value!r}: expected a name")


def _check_seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise QueryError(f"{name} {value!r}: expected a number of seconds above 0")
    return float(value)
