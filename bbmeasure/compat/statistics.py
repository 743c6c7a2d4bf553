"""``buildbot.statistics`` by the same names and arguments, on bbmeasure's journal.

A master.cfg that uses ``buildbot.statistics`` works with its import changed::

    from bbmeasure.compat import statistics

    c["services"].append(statistics.StatsService(name="StatsService", storage_backends=[
        statistics.InfluxStorageService("localhost", 8086, "user", "password", "db", captures=[
            statistics.CaptureProperty("first_builder", "tree-size-KiB"),
            statistics.CaptureBuildDurationAllBuilders(),
        ]),
    ]))

Values are committed to the journal, and an exporter sends them to the database with the measurements, tags and field
types of ``buildbot.statistics``, see :mod:`bbmeasure.storage.influxdb.statistics_layout`.  No call blocks the reactor
or a thread of its pool.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from buildbot import statistics as stock
from buildbot.config.errors import error as config_error
from buildbot.statistics.capture import Capture
from buildbot.statistics.storage_backends.base import StatsStorageBase
from twisted.internet import defer

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.state import state_of
from bbmeasure.capture.statistics_values import values_of
from bbmeasure.errors import QueryError
from bbmeasure.master.services.exporter_arguments import InfluxDBArguments
from bbmeasure.master.services.exporters import ExporterInstance
from bbmeasure.master.tracking.finished_build import recorded_build_context
from bbmeasure.model import BuildContext
from bbmeasure.storage.influxdb import statistics_layout as layout
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.units import excerpt

__all__ = [
    "CaptureBuildDuration",
    "CaptureBuildDurationAllBuilders",
    "CaptureBuildEndTime",
    "CaptureBuildEndTimeAllBuilders",
    "CaptureBuildStartTime",
    "CaptureBuildStartTimeAllBuilders",
    "CaptureData",
    "CaptureDataAllBuilders",
    "CaptureProperty",
    "CapturePropertyAllBuilders",
    "InfluxStorageService",
    "StatsService",
]

#: Builds whose context is kept for the captures that follow, and captures that run at a time.
MOST_BUILDS = 256
MOST_RUNNING = 10_000


@dataclass(frozen=True)
class StatisticsArguments(InfluxDBArguments):
    """Arguments of the exporter of an InfluxStorageService.

    Args:
        fieldTypes: Type of number fields, ``integer`` or ``float``, by pattern of ``MEASUREMENT.FIELD``.
    """

    fieldTypes: Optional[Mapping[str, str]] = None

    metadata: ClassVar[bool] = False

    def __post_init__(self) -> None:
        types = {} if self.fieldTypes is None else self.fieldTypes
        if not isinstance(types, Mapping) or not set(types.values()) <= set(layout.NUMBER_TYPES):
            expected = " or ".join(map(repr, layout.NUMBER_TYPES))
            raise QueryError(f"fieldTypes: expected a mapping of patterns of MEASUREMENT.FIELD to {expected}")
        super().__post_init__()

    def writer(self) -> LineWriter:
        """Return the serializer of the layout of ``buildbot.statistics``."""
        return layout.StatisticsLineWriter(self.fieldTypes)


class StatisticsExporter(ExporterInstance):
    """Exports the points that a StatsService captures, in the layout of ``buildbot.statistics``."""

    arguments_class = StatisticsArguments


class InfluxStorageService(StatsStorageBase):
    """An InfluxDB and what is captured for it: the arguments of ``buildbot.statistics``, and ``fieldTypes``.

    ``fieldTypes`` maps patterns of ``MEASUREMENT.FIELD`` to ``"integer"`` or ``"float"``, for fields of the database
    that have another type than the captured value: ``{"*-tree-size-KiB.value": "integer"}``.  An integer field gets
    rounded values then.
    """

    def __init__(
        self,
        url: str,
        port: int,
        user: Optional[str],
        password: Optional[str],
        db: str,
        captures: Sequence[Capture],
        name: str = "InfluxStorageService",
        *,
        fieldTypes: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.name = name
        self.captures = captures
        self._service: Optional[StatsService] = None
        self._arguments = {
            "url": url if "://" in str(url) else f"http://{url}:{port}",
            "database": db,
            "username": user or None,
            "password": (password or None) if user else None,
            "fieldTypes": fieldTypes,
        }

    def exporter(self) -> StatisticsExporter:
        """Return a new exporter to the database; a configuration error for invalid arguments."""
        return StatisticsExporter(name=self.name, **self._arguments)

    def attach(self, service: StatsService) -> None:
        """Keep values by that service from now on."""
        self._service = service
        for capture in self.captures:
            capture.parent_svcs = [self]
            capture.master = service.master

    def keep(self, post_data: Any, series_name: str, context: Mapping[str, Any]) -> None:
        """Store the fields of ``post_data``, which a capture made for a build, as one point."""
        if self._service is not None:
            self._service.keep(post_data, series_name, context)

    def thd_postStatsValue(self, post_data: Any, series_name: str, context: Optional[Mapping[str, Any]] = None) -> None:
        """Store the fields that a capture class of ``buildbot.statistics`` itself posts, from a thread."""
        if self._service is not None:
            self._service.master.reactor.callFromThread(self.keep, post_data, series_name, context or {})


class _BuildTags(dict[str, str]):
    """The tags of a build, with its row of the Data API."""

    def __init__(self, tags: Mapping[str, str], build: Mapping[str, Any]) -> None:
        super().__init__(tags)
        self.build = build


class _JournalMixin:
    """A capture of ``buildbot.statistics`` whose values go to the journal, and whose errors are counted."""

    master: Any
    parent_svcs: list[InfluxStorageService]

    def _defaultContext(self, msg: Mapping[str, Any], builder_name: str) -> _BuildTags:
        tags = super()._defaultContext(msg, builder_name)  # type: ignore[misc]
        return _BuildTags(tags, msg)

    def _store(self, post_data: Any, series_name: str, context: Mapping[str, Any]) -> defer.Deferred[None]:
        for backend in self.parent_svcs:
            backend.keep(post_data, series_name, context)
        return defer.succeed(None)

    def consume(self, routingKey: Any, msg: Any) -> defer.Deferred[None]:
        """Capture the event of the message queue; never fails."""
        consume: Callable[..., defer.Deferred[None]] = super().consume  # type: ignore[misc]
        return defer.maybeDeferred(consume, routingKey, msg).addErrback(self._failed)

    def _failed(self, why: Any) -> None:
        state_of(self.master).pipeline.count("refused", f"{type(self).__name__}: {excerpt(str(why.value))}")


class CaptureProperty(_JournalMixin, stock.CaptureProperty):
    """Captures a property of the builds of a builder, or with ``regex`` all that match."""


class CapturePropertyAllBuilders(_JournalMixin, stock.CapturePropertyAllBuilders):
    """Captures a property of all builds, or with ``regex`` all that match."""


class CaptureBuildStartTime(_JournalMixin, stock.CaptureBuildStartTime):
    """Captures when the builds of a builder start."""


class CaptureBuildStartTimeAllBuilders(_JournalMixin, stock.CaptureBuildStartTimeAllBuilders):
    """Captures when all builds start."""


class CaptureBuildEndTime(_JournalMixin, stock.CaptureBuildEndTime):
    """Captures when the builds of a builder end."""


class CaptureBuildEndTimeAllBuilders(_JournalMixin, stock.CaptureBuildEndTimeAllBuilders):
    """Captures when all builds end."""


class CaptureBuildDuration(_JournalMixin, stock.CaptureBuildDuration):
    """Captures the duration of the builds of a builder."""


class CaptureBuildDurationAllBuilders(_JournalMixin, stock.CaptureBuildDurationAllBuilders):
    """Captures the duration of all builds."""


class CaptureData(_JournalMixin, stock.CaptureData):
    """Captures what :meth:`StatsService.yieldMetricsValue` posts for the builds of a builder."""


class CaptureDataAllBuilders(_JournalMixin, stock.CaptureDataAllBuilders):
    """Captures what :meth:`StatsService.yieldMetricsValue` posts for all builds."""


class StatsService(stock.StatsService):
    """The service of ``buildbot.statistics``, with a journal and an exporter for each of its ``storage_backends``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exporters: dict[str, StatisticsExporter] = {}
        self._contexts: OrderedDict[int, BuildContext] = OrderedDict()
        self._running = 0

    def checkConfig(self, storage_backends: Sequence[InfluxStorageService]) -> None:
        """Check the backends; a configuration error names the expected value."""
        for backend in storage_backends:
            if not isinstance(backend, InfluxStorageService):
                config_error(
                    f"{self.name}: storage backend {type(backend).__name__}: expected an InfluxStorageService of "
                    "bbmeasure.compat.statistics; other backends need buildbot.statistics.StatsService"
                )
            else:
                backend.exporter()
        names = [getattr(backend, "name", "") for backend in storage_backends]
        if len(set(names)) < len(names):
            config_error(f"{self.name}: storage backends {', '.join(map(str, names))}: expected different names")

    def measure_instances(self) -> list[StatisticsExporter]:
        """Return the exporters of the configured backends, which commands read."""
        backends = (*self._config_args, *self._config_kwargs.values())
        return [
            backend.exporter()
            for group in backends
            if isinstance(group, (list, tuple))
            for backend in group
            if isinstance(backend, InfluxStorageService)
        ]

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of this master."""
        return state_of(self.master).pipeline

    @defer.inlineCallbacks
    def reconfigService(self, storage_backends: Sequence[InfluxStorageService]) -> Generator[Any, Any, None]:
        """Start or reconfigure the exporters, and capture for the new backends."""
        exporters = {backend.name: backend.exporter() for backend in storage_backends}
        for name in self._exporters.keys() - exporters.keys():
            yield self._exporters.pop(name).disownServiceParent()
        for name, exporter in exporters.items():
            if name not in self._exporters:
                self._exporters[name] = exporter
                yield exporter.setServiceParent(self)
            yield self._exporters[name].reconfigServiceWithSibling(exporter)
        yield super().reconfigService(storage_backends)

    @defer.inlineCallbacks
    def registerConsumers(self) -> Generator[Any, Any, None]:
        """Have each capture consume its events."""
        self.consumers = []
        for backend in self.registeredStorageServices:
            backend.attach(self)
            for capture in backend.captures:
                consumer = yield self.master.mq.startConsuming(capture.consume, capture.routingKey)
                self.consumers.append(consumer)

    def keep(self, post_data: Any, series_name: str, context: Mapping[str, Any]) -> None:
        """Store the fields of a point in the background; errors are counted."""
        build = getattr(context, "build", None)
        if not isinstance(build, Mapping):
            self.pipeline.count("refused", f"{excerpt(series_name)}: expected a capture with the build's context")
        elif self._running >= MOST_RUNNING:
            self.pipeline.count("refused", f"{excerpt(series_name)}: {self._running} captures wait for the database")
        else:
            self._running += 1
            work = self._keep(post_data, series_name, build, str(context["builder_name"])).addBoth(self._ended)
            self.pipeline.in_background(work, f"values of {excerpt(series_name)}")

    def _ended(self, result: Any) -> Any:
        self._running -= 1
        return result

    @defer.inlineCallbacks
    def _keep(
        self, post_data: Any, series_name: str, build: Mapping[str, Any], builder: str
    ) -> Generator[Any, Any, None]:
        context = self._contexts.get(build["buildid"])
        if context is None:
            context = yield recorded_build_context(state_of(self.master), build, builder)
            self._contexts[build["buildid"]] = context
            while len(self._contexts) > MOST_BUILDS:
                self._contexts.popitem(last=False)
        values = list(values_of(post_data, series_name, context, self.pipeline.now()))
        yield defer.gatherResults(self.pipeline.capture_all(values), consumeErrors=True)
