"""The services of tests."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet import reactor

from bbmeasure.master.reporters.services import GitHub, GitLab
from bbmeasure.storage.influxdb.server import Server
from tests.code_hosts import GitHubHost, GitLabHost


@pytest.fixture(params=["github", "gitlab"])
def host(request):
    """A running service."""
    with {"github": GitHubHost, "gitlab": GitLabHost}[request.param]() as running:
        yield running


@pytest.fixture
def service(host):
    """The client of ``host``; it is to be closed by the test's end."""
    made = make_service(host)
    yield made
    pytest_twisted.blockon(made._client._pool.closeCachedConnections())


def make_service(host, token=None, timeout=5.0):
    token = host.TOKEN if token is None else token
    kind = GitHub if isinstance(host, GitHubHost) else GitLab
    return kind(reactor, Server(host.url, "", token=token, timeout=timeout), token)
