"""InfluxDB's HTTP interface on Twisted's Agent: each request has one deadline, and each answer a largest size."""

from __future__ import unicode_literals

import base64
import json
import urllib

from twisted.internet import defer, protocol
from twisted.web import client, http_headers, iweb
from zope.interface import implementer

from bbmeasure_eight.errors import ServerError

#: The largest answer that is read, in bytes.
LARGEST_ANSWER = 32 * 1024 * 1024


def identifier(name):
    """A quoted identifier of InfluxQL."""
    return '"%s"' % name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def literal(text):
    """A quoted string of InfluxQL."""
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")


class _QuietFactory(client._HTTP11ClientFactory):
    """Twisted's own, which logs nothing when it starts and stops."""

    noisy = False


class InfluxClient(object):
    """Client of one database.

    ``timeout`` seconds after its start a request fails, whatever the server does.  Requests fail with ServerError.
    """

    def __init__(
        self, reactor, url, database, username=None, password=None, token=None, retention_policy=None, timeout=10
    ):
        self._reactor = reactor
        self._url = url.rstrip("/")
        self._database = database
        self._policy = retention_policy
        self._timeout = timeout
        self._headers = {b"User-Agent": [b"bbmeasure-eight"]}
        if token:
            self._headers[b"Authorization"] = [("Token %s" % token).encode("utf-8")]
        elif username:
            pair = ("%s:%s" % (username, password or "")).encode("utf-8")
            self._headers[b"Authorization"] = [b"Basic " + base64.b64encode(pair)]
        pool = client.HTTPConnectionPool(reactor, persistent=False)
        pool._factory = _QuietFactory
        self._agent = client.Agent(reactor, connectTimeout=timeout, pool=pool)

    @defer.inlineCallbacks
    def write(self, lines):
        """Write lines, as bytes; only status 204 counts as stored."""
        status, body = yield self._request(b"POST", "/write", self._scope(precision="ns"), lines)
        if status != 204:
            raise ServerError(_reason(status, body), status)

    @defer.inlineCallbacks
    def query(self, text):
        """The results of some statements, a list of series each; ServerError for an error of any of them."""
        arguments = dict(self._scope(), q=text, epoch="ns")
        status, body = yield self._request(b"POST", "/query", {}, _form(arguments), form=True)
        answer = _json(body)
        if status != 200 or not isinstance(answer, dict) or "results" not in answer:
            raise ServerError(_reason(status, body), status)
        for result in answer["results"]:
            if "error" in result:
                raise ServerError(result["error"], 404 if "not found" in result["error"] else status)
        defer.returnValue([result.get("series", []) for result in answer["results"]])

    def create_database(self):
        """Create the database unless it exists."""
        return self.query("CREATE DATABASE %s" % identifier(self._database))

    @defer.inlineCallbacks
    def metadata(self, names):
        """Kind and unit of those of the series of which the server has metadata, by series and builder."""
        wanted = " OR ".join('"series" = %s' % literal(name) for name in names)
        text = 'SELECT "kind", "unit" FROM "bbmeasure_series" WHERE %s GROUP BY "series", "builder", "outside" ORDER BY time DESC LIMIT 1'
        results = yield self.query(text % wanted)
        stored = {}
        for one in results[0]:
            tags = one["tags"]
            if tags["builder"] or tags["outside"]:  # else it is of bbmeasure 0.1, for all builders
                stored[tags["series"], tags["builder"]] = tuple(one["values"][0][1:])
        defer.returnValue(stored)

    def _scope(self, **more):
        policy = {"rp": self._policy} if self._policy else {}
        return dict(policy, db=self._database, **more)

    def _request(self, method, path, arguments, body, form=False):
        query = "?" + _form(arguments).decode("ascii") if arguments else ""
        headers = http_headers.Headers(self._headers)
        if form:
            headers.setRawHeaders(b"Content-Type", [b"application/x-www-form-urlencoded"])
        address = (self._url + path + query).encode("utf-8")
        running = self._agent.request(method, address, headers, _Body(body))
        running.addCallback(self._read)
        deadline = self._reactor.callLater(self._timeout, running.cancel)

        def ended(result):
            if deadline.active():
                deadline.cancel()
            elif hasattr(result, "value"):
                raise ServerError("no answer within %g s" % self._timeout)
            return result

        running.addBoth(ended)
        running.addErrback(self._failed)
        return running

    @staticmethod
    def _read(response):
        collector = _Collector()
        response.deliverBody(collector)
        return collector.done.addCallback(lambda body: (response.code, body))

    def _failed(self, failure):
        if failure.check(ServerError):
            return failure
        reasons = getattr(failure.value, "reasons", None)
        raise ServerError("%s" % (reasons[0].value if reasons else failure.value))


def _form(arguments):
    return urllib.urlencode(sorted((name.encode("utf-8"), value.encode("utf-8")) for name, value in arguments.items()))


def _json(body):
    try:
        return json.loads(body)
    except ValueError:
        return None


def _reason(status, body):
    answer = _json(body)
    message = answer.get("error") or answer.get("message") if isinstance(answer, dict) else None
    return "HTTP %d: %s" % (status, message or body[:200].decode("utf-8", "replace") or "no message")


@implementer(iweb.IBodyProducer)
class _Body(object):
    """The body of a request."""

    def __init__(self, data):
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer):
        consumer.write(self._data)
        return defer.succeed(None)

    def stopProducing(self):
        """Nothing is left to stop: all was handed over at once."""

    pauseProducing = resumeProducing = stopProducing


class _Collector(protocol.Protocol):
    """Collects the body of an answer; cancelling ``done`` closes the connection."""

    def __init__(self):
        self._pieces, self._size = [], 0
        self.done = defer.Deferred(lambda _: self._abort())

    def _abort(self):
        transport = getattr(self.transport, "_producer", self.transport)
        if transport is not None:
            (getattr(transport, "abortConnection", None) or transport.stopProducing)()

    def dataReceived(self, data):
        self._size += len(data)
        self._pieces.append(data)
        if self._size > LARGEST_ANSWER and not self.done.called:
            self.done.errback(ServerError("answer of more than %d bytes" % LARGEST_ANSWER))
            self._abort()

    def connectionLost(self, reason=protocol.connectionDone):
        if self.done.called:
            return
        if reason.check(client.ResponseDone, client.PotentialDataLoss):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(reason)
