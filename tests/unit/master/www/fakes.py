"""A master with a web service, requests, and a store that does not answer."""

from __future__ import annotations

import json
from types import SimpleNamespace

from twisted.internet import defer, task
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.error import Error
from twisted.web.test.requesthelper import DummyRequest

from bbmeasure.capture.state import state_of
from bbmeasure.storage.memory import MemoryStorage


class Clock(task.Clock):
    """A clock with the reactor's method for threads."""

    def callFromThread(self, function, *arguments):
        function(*arguments)


class Www:
    """Buildbot's web service; nobody may see the builders with the ids in ``denied``."""

    def __init__(self):
        self.authz = SimpleNamespace()
        self.denied = set()
        self.checks = []

    def assertUserAllowed(self, request, endpoint, action, options):
        self.checks.append((endpoint, action, options))
        denies = endpoint[1:] and int(endpoint[1]) in self.denied
        return defer.fail(Error(403, b"no")) if denies else defer.succeed(None)

    def deny(self, *ids):
        self.denied = set(ids)

    def reconfigure(self, *denied):
        """Other rules, as after a reconfiguration."""
        self.authz = SimpleNamespace()
        self.deny(*denied)


class Database:
    """Buildbot's database, with the builders of a master alone."""

    def __init__(self, builders):
        self.pool = self
        self.model = SimpleNamespace(builders=SimpleNamespace(select=lambda: None))
        self._builders = builders

    def do(self, function):
        """Call ``function`` with a connection."""
        return defer.succeed(function(self))

    def execute(self, query):
        """The result of the only query."""
        return self

    def fetchall(self):
        """The rows of the builders."""
        return [SimpleNamespace(name=name, id=id_) for name, id_ in self._builders.items()]


class Master:
    """The attributes of a BuildMaster that the API uses."""

    def __init__(self):
        self.reactor = Clock()
        self.www = Www()
        self.config = SimpleNamespace(buildbotURL="http://master/")
        self.service_manager = SimpleNamespace(namedServices={})
        self.data = SimpleNamespace(get=self._get)
        self.botmaster = SimpleNamespace(builders={})
        self.builders = {"a": 1, "b": 2}
        self.db = Database(self.builders)
        self.botmaster = SimpleNamespace(builders=self.builders)
        self.builds = {}

    def _get(self, path):
        if path == ("builders",):
            return defer.succeed([{"name": name, "builderid": id_} for name, id_ in self.builders.items()])
        return defer.succeed(self.builds.get(path[1]))


class Request(DummyRequest):
    """A request for a path below ``v1/``."""

    def __init__(self, path, method=b"GET", **arguments):
        super().__init__([b"v1", *path.encode().split(b"/")])
        self.method = method
        self.args = {key.encode(): [str(value).encode()] for key, value in arguments.items()}

    @property
    def json(self):
        return json.loads(b"".join(self.written))

    def disconnect(self):
        self.processingFailed(Failure(ConnectionDone()))


class PendingStorage(MemoryStorage):
    """A store whose ``summarize`` returns pending Deferreds."""

    def __init__(self):
        super().__init__()
        self.pending = []
        self.queries = []
        self.cancelled = 0

    def summarize(self, query, statistics):
        def cancel(_):
            self.cancelled += 1

        self.queries.append(query)
        self.pending.append(defer.Deferred(cancel))
        return self.pending[-1]


def get(resource, path, **arguments):
    """Render a request."""
    return render(resource, Request(path, **arguments))


def render(resource, request):
    """Render a request to its end."""
    resource.render(request)
    for _ in range(1000):
        if request.finished:
            break
        resource.master.reactor.advance(0)
    return request


def counters(resource):
    return state_of(resource.master).pipeline.counters
