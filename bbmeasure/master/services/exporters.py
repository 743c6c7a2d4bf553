"""The services that ship what is captured to servers of time series: InfluxDBInstance and VictoriaMetricsInstance."""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Optional, Union

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure import times
from bbmeasure.capture.plan import split_arguments
from bbmeasure.errors import MeasureError, QueryError, StorageError
from bbmeasure.export.backoff import Ticker
from bbmeasure.export.exporter import POLL_INTERVAL, Exporter, OutboxLimits
from bbmeasure.export.metadata import MetadataExporter
from bbmeasure.master.services import journals
from bbmeasure.master.services.base import STOP_TIMEOUT, MeasureInstance
from bbmeasure.model import Health
from bbmeasure.storage.influxdb.client import InfluxClient, tls_policy
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.influxdb.store import InfluxStorage
from bbmeasure.storage.sqlite.store import SQLiteStorage

log = Logger()

#: Seconds that a reconfig to another journal waits for what was captured just before to be shipped.
DRAIN_TIMEOUT = 2.0
_DRAIN_POLL_INTERVAL = 0.05

#: An age such as ``"30d"``, or seconds.
Age = Union[str, float, None]


@dataclass(frozen=True)
class Settings:
    """What a sink is made of; equal settings need no new one."""

    server: Server
    limits: OutboxLimits
    numbers_only: bool = False
    tag_build_number: bool = False
    create_database: bool = False
    answers: bool = False


@dataclass(frozen=True)
class FailedExporter:
    """A sink that could not be made: its points wait, and health says why."""

    name: str
    why: str

    def health(self) -> Health:
        """What is wrong."""
        return Health(self.name, last_error=self.why)


class ExporterInstance(MeasureInstance):
    """What ships the journal to a server, under the instance's name: a new URL under that name gets the backlog."""

    secrets = ("username", "password", "token")
    #: Points of the journal are queued under its name.
    ships = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings: Optional[Settings] = None
        self._shipper: Optional[Exporter] = None
        self._ticker: Optional[Ticker] = None

    def checkConfig(self, **kwargs: Any) -> None:
        """Check the arguments; a configuration error says what was wanted.

        Secrets are not rendered yet, and not looked at.
        """
        own, switches = split_arguments(kwargs)
        super().checkConfig(**switches)
        plain = {name: None if IRenderable.providedBy(value) else value for name, value in own.items()}
        given = {name for name, value in own.items() if value is not None}
        try:
            inspect.signature(self.read_settings).bind(**own)
            for name in own.keys() - {*self.secrets}:
                if IRenderable.providedBy(own[name]):
                    raise QueryError(f"{name}: expected a plain value, as {', '.join(self.secrets)} alone are rendered")
            if "token" in given and given & {"username", "password"}:
                raise QueryError("token: expected it alone, without username and password")
            if "password" in given and "username" not in given:
                raise QueryError("password: expected a username with it")
            tls_policy(self.read_settings(**plain).server)  # reads caFile
        except (MeasureError, TypeError) as error:
            config_error(f"{self.name}: {error}")

    @defer.inlineCallbacks
    def reconfigService(self, **kwargs: Any) -> Generator[Any, Any, None]:
        """Take the arguments, with secrets rendered."""
        own, switches = split_arguments(kwargs)
        yield self.use_settings(own)
        yield super().reconfigService(**switches)

    def read_settings(self, **kwargs: Any) -> Settings:
        """The settings that the arguments stand for; MeasureError where they are off."""
        raise NotImplementedError(f"{type(self).__name__} has no read_settings()")

    def rendered_settings(self, **kwargs: Any) -> Settings:
        """The same of arguments that are rendered; a name that was a secret is one in every message."""
        settings = self.read_settings(**kwargs)
        hidden = IRenderable.providedBy(self._config_kwargs.get("username"))
        return replace(settings, server=replace(settings.server, hide_username=hidden))

    @defer.inlineCallbacks
    def use_settings(self, kwargs: dict[str, Any]) -> Generator[Any, Any, None]:
        """Ship the journal to the server that the arguments name; nothing happens where both are those before.

        A journal that is left stays open until it was asked what still waits there.
        """
        before = self._journal
        if before is not None:
            journals.hold(self.state, before)
        try:
            journal = yield self.use_journal()
            left = before if before is not journal else None
            yield self._ship(journal, kwargs, left)
            if left is not None:
                yield self._say_what_waits(left)
        finally:
            if before is not None:
                yield self._let_go(before)

    @defer.inlineCallbacks
    def _ship(
        self, journal: SQLiteStorage, kwargs: dict[str, Any], left: Optional[SQLiteStorage]
    ) -> Generator[Any, Any, None]:
        """Ship ``journal``, what waits in the one that was ``left`` first where its server takes it at once."""
        try:
            settings = self.rendered_settings(**kwargs)
            if settings == self._settings:
                if left is None:
                    return
                yield self._ship_rest(left)
            yield self._let_go_of_server()
            self._begin(journal, settings)
        except MeasureError as error:
            log.error("bbmeasure: {name}: nothing is shipped: {why}", name=self.name, why=str(error))
            yield self._let_go_of_server()
            self.state.exporters[self.name] = FailedExporter(self.name, str(error))

    @defer.inlineCallbacks
    def _ship_rest(self, left: SQLiteStorage) -> Generator[Any, Any, None]:
        """Wait a little for what came just before the journal was left; not for a server that is in trouble."""
        ends = time.monotonic() + DRAIN_TIMEOUT
        while time.monotonic() < ends and self._shipper is not None and self._shipper.health().last_error is None:
            waits = yield self._waiting(left)
            if waits == 0:
                return
            self._shipper.wake()
            yield task.deferLater(self.master.reactor, _DRAIN_POLL_INTERVAL)

    @defer.inlineCallbacks
    def _waiting(self, journal: SQLiteStorage) -> Generator[Any, Any, Optional[int]]:
        """How many points wait there, those too that are on their way to it; None where it cannot say."""
        reactor = self.master.reactor
        try:
            # it is attached already: that this is done says that what was captured before it is written
            yield journal.attach_exporter(self.name).addTimeout(STOP_TIMEOUT, reactor)
            backlog = yield journal.backlog(self.name).addTimeout(STOP_TIMEOUT, reactor)
        except (MeasureError, defer.TimeoutError):
            return None
        return int(backlog.count)

    @defer.inlineCallbacks
    def _say_what_waits(self, left: SQLiteStorage) -> Generator[Any, Any, None]:
        """Log how many points wait in a journal that is shipped no longer, and what sends them."""
        waits = yield self._waiting(left)
        if waits != 0:
            log.warn(
                "bbmeasure: {name}: {waits} points wait in {path}, which is the journal no longer; they go out by: "
                "bbmeasure ship --master {folder} --journal {path} --sink {name} --drain",
                name=self.name,
                waits="some" if waits is None else waits,
                path=left.path,
                folder=self.master.basedir,
            )

    def _begin(self, journal: SQLiteStorage, settings: Settings) -> None:
        reactor = self.master.reactor
        client = InfluxClient(reactor, settings.server)
        shipper = Exporter(
            journal,
            self.name,
            client,
            LineWriter(tag_build_number=settings.tag_build_number, numbers_only=settings.numbers_only),
            reactor=reactor,
            declare=None
            if settings.numbers_only
            else MetadataExporter(client, self.master.name or "", clock=reactor, monotonic=time.monotonic),
            create_database=settings.create_database,
            limits=settings.limits,
        )
        self._ticker = Ticker(reactor, POLL_INTERVAL, shipper.wake)
        self._settings, self._shipper, self.state.exporters[self.name] = settings, shipper, shipper
        self.register_source(settings)
        shipper.start()
        self._ticker.start()

    def register_source(self, settings: Settings) -> None:
        """Have the server answer questions, where it can."""

    def unregister_source(self) -> None:
        """It answers no longer."""

    @defer.inlineCallbacks
    def _let_go_of_server(self) -> Generator[Any, Any, None]:
        self.unregister_source()
        self._settings = None
        self.state.exporters.pop(self.name, None)
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.stop()
        shipper, self._shipper = self._shipper, None
        if shipper is not None:
            yield shipper.stop()

    @defer.inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Break off what is on its way to the server; what is on its way to the journal arrives there."""
        stopped = self._let_go_of_server()
        yield super().stopService()
        yield stopped


class InfluxDBInstance(ExporterInstance):
    """Ships everything to a database of an InfluxDB, through the journal in the master's folder.

    A user who may not create databases is no error where the database is there.  ``answers=True`` has the server answer
    the getters, the page and the API, in place of the journal.
    """

    _storage: Optional[InfluxStorage] = None

    def read_settings(  # type: ignore[override]
        self,
        *,
        url: str,
        database: str,
        username: Optional[str] = None,
        password: Optional[str] = None,
        token: Optional[str] = None,
        retentionPolicy: Optional[str] = None,
        createDatabase: bool = True,
        verifyTLS: bool = True,
        caFile: Optional[str] = None,
        timeout: float = 10,
        tagBuildNumber: bool = False,
        outboxMaxBytes: Optional[int] = None,
        outboxMaxAge: Age = None,
        answers: bool = False,
    ) -> Settings:
        """The settings that the arguments stand for."""
        _check_text("database", database)
        if retentionPolicy is not None:
            _check_text("retentionPolicy", retentionPolicy)
        server = Server(
            url,
            database,
            username,
            password,
            token,
            retentionPolicy,
            _check_switch("verifyTLS", verifyTLS),
            caFile,
            _check_positive("timeout", timeout),
        )
        return Settings(
            server,
            read_limits(outboxMaxBytes, outboxMaxAge),
            tag_build_number=_check_switch("tagBuildNumber", tagBuildNumber),
            create_database=_check_switch("createDatabase", createDatabase),
            answers=_check_switch("answers", answers),
        )

    def register_source(self, settings: Settings) -> None:
        """``source=`` the instance's name; the default where ``answers`` is set."""
        client = InfluxClient(self.master.reactor, settings.server)
        self._storage = InfluxStorage(
            self.name, client, clock=self.master.reactor, tag_build_number=settings.tag_build_number
        )
        self.state.sources[self.name] = self._storage
        if settings.answers:
            self.state.answering = self._storage

    def unregister_source(self) -> None:
        """The journal answers again."""
        storage, self._storage = self._storage, None
        if storage is None:
            return
        self.state.sources.pop(self.name, None)
        if self.state.answering is storage:
            self.state.answering = None
        storage.close()

    def measure_links(self, *_: Any, **__: Any) -> dict[str, Optional[str]]:
        """The server's address for the API's ``links``; there is no secret in it."""
        return {"influxdb": self._settings.server.url if self._settings else None}


class VictoriaMetricsInstance(ExporterInstance):
    """Ships all numbers to a VictoriaMetrics, which keeps nothing else and answers nothing here.

    ``url`` is what stands before ``/write``: ``http://HOST:8428``, or ``http://VMINSERT:8480/insert/0/influx`` of a
    cluster.  A metric is called ``SERIES_value``.  Run it with ``-dedup.minScrapeInterval=1ms``, else what is sent
    twice is counted twice.  ``database`` becomes the label ``db``; ``token`` is a bearer's.
    """

    def read_settings(  # type: ignore[override]
        self,
        *,
        url: str,
        database: Optional[str] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        token: Optional[str] = None,
        verifyTLS: bool = True,
        caFile: Optional[str] = None,
        timeout: float = 10,
        tagBuildNumber: bool = False,
        outboxMaxBytes: Optional[int] = None,
        outboxMaxAge: Age = None,
    ) -> Settings:
        """The settings that the arguments stand for."""
        if database is not None:
            _check_text("database", database)
        server = Server(
            url,
            database or "",
            username,
            password,
            token,
            verify_tls=_check_switch("verifyTLS", verifyTLS),
            ca_file=caFile,
            timeout=_check_positive("timeout", timeout),
            token_scheme="Bearer",  # noqa: S106  (not a secret)
        )
        return Settings(
            server,
            read_limits(outboxMaxBytes, outboxMaxAge),
            numbers_only=True,
            tag_build_number=_check_switch("tagBuildNumber", tagBuildNumber),
        )


def read_limits(max_bytes: Optional[int], max_age: Age) -> OutboxLimits:
    """The limits of an outbox; QueryError for what is no size or no age."""
    if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1):
        raise QueryError(f"outboxMaxBytes {max_bytes!r}: expected a whole number of bytes")
    if isinstance(max_age, str):
        max_age = times.read_age(max_age, "outboxMaxAge")
    return OutboxLimits(max_bytes, None if max_age is None else _check_positive("outboxMaxAge", max_age))


def _check_text(what: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise StorageError(f"{what} {value!r}: expected a name")


def _check_switch(what: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise QueryError(f"{what} {value!r}: expected True or False")
    return value


def _check_positive(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise QueryError(f"{what} {value!r}: expected a number of seconds above 0")
    return float(value)
