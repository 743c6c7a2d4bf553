"""InfluxDBInstance and VictoriaMetricsInstance: services that export the journal to a server."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Optional, Union

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure.capture.plan import split_arguments
from bbmeasure.errors import MeasureError, QueryError
from bbmeasure.export.backoff import Ticker
from bbmeasure.export.exporter import POLL_INTERVAL, Exporter
from bbmeasure.export.metadata import MetadataExporter
from bbmeasure.master.services import journals
from bbmeasure.master.services.base import STOP_TIMEOUT, MeasureInstance
from bbmeasure.master.services.exporter_arguments import InfluxDBArguments, VictoriaMetricsArguments
from bbmeasure.master.services.verdict_export import VerdictExporter
from bbmeasure.model import Health
from bbmeasure.storage.influxdb.client import InfluxClient, tls_policy
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.influxdb.store import InfluxStorage
from bbmeasure.storage.sqlite.store import SQLiteStorage

log = Logger()

#: Seconds that a reconfig to another journal waits for the export of the previous journal's points.
DRAIN_TIMEOUT = 2.0
_DRAIN_POLL_INTERVAL = 0.05
#: Stands for the value of a secret before it is rendered.
_UNRENDERED = "***"

Arguments = Union[InfluxDBArguments, VictoriaMetricsArguments]


@dataclass(frozen=True)
class FailedExporter:
    """An exporter whose arguments became invalid: points stay in the outbox, health returns the reason."""

    name: str
    error: str

    def health(self) -> Health:
        """Return the error."""
        return Health(self.name, last_error=self.error)


class ExporterInstance(MeasureInstance):
    """Base of the services that export the journal to a server.

    The instance's name is that of the exporter in the outbox: a reconfig to another URL exports the same backlog.
    """

    arguments_class: ClassVar[type[Arguments]]
    secrets = ("username", "password", "token")
    #: Marks services for which the journal queues points.
    ships = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._arguments: Optional[Arguments] = None
        self._server: Optional[Server] = None
        self._exporter: Optional[Exporter] = None
        self._ticker: Optional[Ticker] = None
        self._verdicts: Optional[VerdictExporter] = None

    def checkConfig(self, **kwargs: Any) -> None:
        """Report invalid arguments as configuration errors; secrets are not rendered yet."""
        own, switches = split_arguments(kwargs)
        super().checkConfig(**switches)
        try:
            for name in own.keys() - {*self.secrets}:
                if IRenderable.providedBy(own[name]):
                    raise QueryError(f"{name}: expected a plain value, as {', '.join(self.secrets)} alone are rendered")
            arguments = self.arguments_class.of(
                {name: _UNRENDERED if IRenderable.providedBy(value) else value for name, value in own.items()}
            )
            tls_policy(arguments.server())  # reads caFile
        except (MeasureError, TypeError) as error:
            config_error(f"{self.name}: {error}")

    @defer.inlineCallbacks
    def reconfigService(self, **kwargs: Any) -> Generator[Any, Any, None]:
        """Take the arguments, with rendered secrets."""
        own, switches = split_arguments(kwargs)
        yield self.use_arguments(own)
        yield super().reconfigService(**switches)

    def read_arguments(self, given: dict[str, Any]) -> tuple[Arguments, Server]:
        """Return the arguments with rendered secrets, and their server; a user name from a secret is hidden."""
        arguments = self.arguments_class.of(given)
        is_secret = IRenderable.providedBy(self._config_kwargs.get("username"))
        return arguments, arguments.server(hide_username=is_secret)

    def export_config(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return what a command needs to export to the same server, with secrets."""
        arguments, server = self.read_arguments(given)
        return {
            "server": asdict(server),
            "numbers_only": arguments.numbers_only,
            "tag_build_number": arguments.tagBuildNumber,
            "create_database": arguments.createDatabase,
            "answers": arguments.answers,
            "metadata": arguments.metadata,
            "field_types": getattr(arguments, "fieldTypes", None),
        }

    @defer.inlineCallbacks
    def use_arguments(self, given: dict[str, Any]) -> Generator[Any, Any, None]:
        """Export the configured journal to the server; without a change of either this has no effect.

        The previous journal stays open until its backlog is known.
        """
        before = self._journal
        if before is not None:
            journals.hold(self.state, before)
        try:
            journal = yield self.use_journal()
            previous = before if before is not journal else None
            if previous is not None:
                yield self._settle()
            yield self._export(journal, given, previous)
            if previous is not None:
                yield self._log_backlog(previous)
        finally:
            if before is not None:
                yield self._release_journal(before)

    def _settle(self) -> defer.Deferred[None]:
        """Fires when the values captured so far are written, or after STOP_TIMEOUT."""
        return self.pipeline.settle().addTimeout(STOP_TIMEOUT, self.master.reactor, lambda *_: None)

    @defer.inlineCallbacks
    def _export(
        self, journal: SQLiteStorage, given: dict[str, Any], previous: Optional[SQLiteStorage]
    ) -> Generator[Any, Any, None]:
        """Replace the exporter, unless the arguments are unchanged; drain the previous journal before."""
        try:
            arguments, server = self.read_arguments(given)
            if (arguments, server) == (self._arguments, self._server):
                if previous is None:
                    return
                yield self._drain(previous)
            yield self._stop_exporter()
            self._start_exporter(journal, arguments, server)
        except (MeasureError, TypeError) as error:
            log.error("bbmeasure: {name}: nothing is exported: {why}", name=self.name, why=str(error))
            yield self._stop_exporter()
            self.state.exporters[self.name] = FailedExporter(self.name, str(error))

    @defer.inlineCallbacks
    def _drain(self, journal: SQLiteStorage) -> Generator[Any, Any, None]:
        """Wait until the backlog is empty, at most DRAIN_TIMEOUT seconds and only while the server has no error."""
        end = time.monotonic() + DRAIN_TIMEOUT
        while time.monotonic() < end and self._exporter is not None and self._exporter.health().last_error is None:
            backlog = yield self._backlog(journal)
            if backlog == 0:
                return
            self._exporter.wake()
            yield task.deferLater(self.master.reactor, _DRAIN_POLL_INTERVAL)

    @defer.inlineCallbacks
    def _backlog(self, journal: SQLiteStorage) -> Generator[Any, Any, Optional[int]]:
        """Return the number of pending points, including those that are being written; None if it is unknown."""
        reactor = self.master.reactor
        try:
            # The journal executes requests in order: after this one, all points captured before it are written.
            yield journal.attach_exporter(self.name).addTimeout(STOP_TIMEOUT, reactor)
            backlog = yield journal.backlog(self.name).addTimeout(STOP_TIMEOUT, reactor)
        except (MeasureError, defer.TimeoutError):
            return None
        return int(backlog.count)

    @defer.inlineCallbacks
    def _log_backlog(self, previous: SQLiteStorage) -> Generator[Any, Any, None]:
        """Log how many points remain in a journal that is no longer exported, and the command that exports them."""
        backlog = yield self._backlog(previous)
        if backlog != 0:
            log.warn(
                "bbmeasure: {name}: {backlog} points wait in {path}, which is no longer the journal; export them by: "
                "bbmeasure ship --master {folder} --journal {path} --sink {name} --drain",
                name=self.name,
                backlog="some" if backlog is None else backlog,
                path=previous.path,
                folder=self.master.basedir,
            )

    def _start_exporter(self, journal: SQLiteStorage, arguments: Arguments, server: Server) -> None:
        reactor = self.master.reactor
        client = InfluxClient(reactor, server)
        metadata = None
        if arguments.metadata:
            metadata = MetadataExporter(client, self.master.name or "", clock=reactor, monotonic=time.monotonic)
        exporter = Exporter(
            journal,
            self.name,
            client,
            arguments.writer(),
            reactor=reactor,
            metadata=metadata,
            create_database=arguments.createDatabase,
            limits=arguments.limits(),
        )
        self._arguments, self._server, self._exporter = arguments, server, exporter
        self._ticker = Ticker(reactor, POLL_INTERVAL, exporter.wake)
        self.state.exporters[self.name] = exporter
        self.register_source(arguments, server)
        exporter.start()
        self._ticker.start()
        if arguments.metadata:
            self._verdicts = VerdictExporter(self.state, self.name, client, exporter.counters, reactor=reactor)
            self._verdicts.start()

    def register_source(self, arguments: Arguments, server: Server) -> None:
        """Register the server as a source of queries; the base class registers none."""

    def unregister_source(self) -> None:
        """Undo :meth:`register_source`."""

    @defer.inlineCallbacks
    def _stop_exporter(self) -> Generator[Any, Any, None]:
        self.unregister_source()
        self._arguments = self._server = None
        self.state.exporters.pop(self.name, None)
        verdicts, self._verdicts = self._verdicts, None
        if verdicts is not None:
            verdicts.stop()
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.stop()
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            yield exporter.stop()

    @defer.inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Cancel the request to the server; points on their way to the journal are written."""
        stopped = self._stop_exporter()
        yield super().stopService()
        yield stopped


class InfluxDBInstance(ExporterInstance):
    """Exports all points to a database of an InfluxDB, through the journal in the master's folder.

    The keyword arguments are those of :class:`~bbmeasure.master.services.exporter_arguments.InfluxDBArguments` and the
    switches of every instance.  A user without the right to create databases is no error if the database exists.
    """

    arguments_class = InfluxDBArguments
    _storage: Optional[InfluxStorage] = None

    def register_source(self, arguments: Arguments, server: Server) -> None:
        """Register the server as a source under the instance's name, with ``answers=True`` as the default one."""
        reactor = self.master.reactor
        client = InfluxClient(reactor, server)
        self._storage = InfluxStorage(self.name, client, clock=reactor, tag_build_number=arguments.tagBuildNumber)
        self.state.sources[self.name] = self._storage
        if arguments.answers:
            self.state.answering = self._storage

    def unregister_source(self) -> None:
        """Remove the source; the journal becomes the default one again."""
        storage, self._storage = self._storage, None
        if storage is None:
            return
        self.state.sources.pop(self.name, None)
        if self.state.answering is storage:
            self.state.answering = None
        storage.close()

    def measure_links(self, *_: Any, **__: Any) -> dict[str, Optional[str]]:
        """Return the server's URL for the API's ``links``; it contains no secret."""
        return {"influxdb": self._server.url if self._server else None}


class VictoriaMetricsInstance(ExporterInstance):
    """Exports all numbers to a VictoriaMetrics, which stores no texts and is not queried.

    The keyword arguments are those of
    :class:`~bbmeasure.master.services.exporter_arguments.VictoriaMetricsArguments` and the switches of every instance.
    ``url`` is the part before ``/write``: ``http://HOST:8428``, for a cluster
    ``http://VMINSERT:8480/insert/0/influx``.  A metric is named ``SERIES_value``.  Run the server with
    ``-dedup.minScrapeInterval=1ms``, as it counts points twice that are sent twice.
    """

    arguments_class = VictoriaMetricsArguments
