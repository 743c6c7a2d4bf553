"""InfluxDBInstance: the status receiver of ``c['status']`` that captures builds and sends points to an InfluxDB."""

from __future__ import unicode_literals

import os
import re
from urlparse import urlsplit

from buildbot import config
from buildbot.status.base import StatusReceiverMultiService
from twisted.internet import reactor
from twisted.python import log

from bbmeasure_eight import texts
from bbmeasure_eight.builds import NO_PLAN, Collector, Switches
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.influxdb import InfluxClient
from bbmeasure_eight.line_protocol import line_of
from bbmeasure_eight.points import master_name
from bbmeasure_eight.sender import Sender
from bbmeasure_eight.spool import Spool
from bbmeasure_eight.state import STATE

#: The default limit of a spool, in bytes: about a million points.
MAX_SPOOL = 256 * 1024 * 1024
#: Characters of a name in the name of its spool's file.
_NOT_IN_FILES = re.compile("[^A-Za-z0-9_-]")


class InfluxDBInstance(StatusReceiverMultiService):
    """Sends all captured values to a database of an InfluxDB.

    Args:
        url: Address of the server, such as ``http://influx.example.org:8086``.
        database: Name of the database, which is created where it is missing (``createDatabase``).
        username, password, token: Credentials.
        retentionPolicy: A retention policy instead of the database's default.
        timeout: Seconds that a request may take.
        name: Name of the instance and of its spool; a second instance needs one.
        maxSpoolBytes: Limit of the points that wait on disk; further ones are refused, counted and logged.
        defaultBranch: Branch of builds whose source stamp has none.
        trackBuildTimes, trackStepTimes: Capture the durations of all builds, of all steps.
        trackProperties: Patterns of numeric properties to capture of all builds.
    """

    compare_attrs = ["arguments"]

    def __init__(self, url, database, username=None, password=None, token=None, **options):
        StatusReceiverMultiService.__init__(self)
        self.arguments = _read_options(options)
        self.arguments.update(url=url, database=database, username=username, password=password, token=token)
        for name in ("url", "database", "username", "password", "token"):
            self.arguments[name] = texts.decode(self.arguments[name])
        _check_address(self.arguments)
        self.setName(self.arguments["name"])
        properties = tuple(texts.decode(pattern) for pattern in self.arguments["trackProperties"])
        self.switches = Switches(self.arguments["trackBuildTimes"], self.arguments["trackStepTimes"], properties)
        self.sender = None
        self._watched = []
        self._status = None

    def startService(self):
        """Open the spool, send what waits there, and follow all builders."""
        arguments = self.arguments
        name = texts.decode(arguments["name"])
        path = os.path.join(self.master.basedir, "bbmeasure-%s.sqlite" % _NOT_IN_FILES.sub("_", name))
        keys = ("url", "database", "username", "password", "token")
        self.influx = InfluxClient(
            reactor,
            retention_policy=texts.decode(arguments["retentionPolicy"]),
            timeout=arguments["timeout"],
            **dict((str(key), arguments[key]) for key in keys)
        )
        STATE.master = master_name(self.master.basedir)
        STATE.default_branch = texts.decode(arguments["defaultBranch"])
        spool = Spool(path, arguments["maxSpoolBytes"])
        self.sender = Sender(reactor, spool, self.influx, STATE.master, arguments["createDatabase"])
        self.sender.start()
        STATE.attach(name, self, spool)
        StatusReceiverMultiService.startService(self)
        self._status = self.master.status
        self._status.subscribe(self)

    def stopService(self):
        """Write what was captured to the spool; what the server has yet to receive waits there."""
        if self._status is not None:
            self._status.unsubscribe(self)
            for builder in self._watched:
                builder.unsubscribe(self)
            self._watched, self._status = [], None
        STATE.detach(texts.decode(self.arguments["name"]))
        stopping = StatusReceiverMultiService.stopService(self)
        sender, self.sender = self.sender, None
        if sender is None:
            return stopping
        return sender.stop().addCallback(lambda _: stopping)

    def accept(self, write):
        """Accept a Write into the spool."""
        return self.sender.accept(write)

    def builderAdded(self, name, builder):
        """Follow a builder."""
        self._watched.append(builder)
        return self

    def buildStarted(self, name, build):
        """Keep what the builder tracks now: a reconfiguration does not change a running build."""
        STATE.remember_plan((name, build.getNumber()), self._plan(name))

    def buildFinished(self, name, build, results):
        """Capture the durations and properties of a build, for this instance alone."""
        plan = STATE.plans.get((name, build.getNumber())) or self._plan(name)
        collector = Collector(build, texts.decode(name), STATE.master, plan, STATE.default_branch)
        points = collector.collect(self.switches)
        for why in collector.refused:
            STATE.refuse(why)
        for point in points:
            try:
                line_of(point)
            except MeasureError as error:
                STATE.refuse(error)
            else:
                STATE.store_at(self, point).addErrback(log.err)

    def _plan(self, name):
        builder = self.master.botmaster.builders.get(name)
        return getattr(getattr(builder, "config", None), "measurePlan", NO_PLAN)


_OPTIONS = {
    "name": "InfluxDBInstance",
    "retentionPolicy": None,
    "createDatabase": True,
    "timeout": 10,
    "maxSpoolBytes": MAX_SPOOL,
    "defaultBranch": "main",
    "trackBuildTimes": False,
    "trackStepTimes": False,
    "trackProperties": (),
}


def _read_options(given):
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        known = ", ".join(sorted(_OPTIONS))
        text = "InfluxDBInstance: unknown argument %s: expected some of %s" % (", ".join(unknown), known)
        config.error(text.encode("utf-8"))
    options = dict(_OPTIONS, **given)
    for name in ("createDatabase", "trackBuildTimes", "trackStepTimes"):
        if not isinstance(options[name], bool):
            config.error(("InfluxDBInstance: %s %r: expected True or False" % (name, options[name])).encode("utf-8"))
    if not isinstance(options["trackProperties"], (list, tuple)):
        config.error(b"InfluxDBInstance: trackProperties: expected a list of patterns such as 'pylint-*'")
        options["trackProperties"] = ()
    for name in ("timeout", "maxSpoolBytes"):
        if not isinstance(options[name], (int, long, float)) or options[name] <= 0:  # noqa: F821
            config.error(("InfluxDBInstance: %s %r: expected a number above 0" % (name, options[name])).encode("utf-8"))
    return options


def _check_address(arguments):
    parts = urlsplit(arguments["url"] or "")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        config.error(b"InfluxDBInstance: url: expected http://HOST:PORT without credentials")
    elif parts.scheme == "https":
        try:
            import OpenSSL  # noqa: F401
        except ImportError:
            config.error(b"InfluxDBInstance: url: https needs pyOpenSSL: pip install 'bbmeasure-eight[tls]'")
    if not arguments["database"]:
        config.error(b"InfluxDBInstance: database: expected a name")
    if arguments["token"] and arguments["username"]:
        config.error(b"InfluxDBInstance: token and username: expected at most one of them")
