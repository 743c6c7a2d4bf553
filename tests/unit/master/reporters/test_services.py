"""Comments by the APIs of GitHub and GitLab, against servers that follow their documents."""

from __future__ import annotations

import pytest
import pytest_twisted

from bbmeasure.master.reporters.http import MAX_ANSWER, ServiceError
from bbmeasure.master.reporters.services import Target
from tests.code_hosts import Failure, GitHubHost
from tests.hostile import Dripping
from tests.unit.master.reporters.conftest import make_service

inlineCallbacks = pytest_twisted.inlineCallbacks
TARGET = Target("group.name/my-project", 12)
SOMEBODY = {"login": "somebody", "id": 8, "type": "User"}


@inlineCallbacks
def failure_of(work):
    """The ServiceError that a request fails with."""
    try:
        yield work
    except ServiceError as error:
        return error
    raise AssertionError("no error")


@inlineCallbacks
def test_a_comment_is_created_found_and_edited(host, service):
    """The own comment is found by its marker, and edited in place."""
    assert (yield service.find(TARGET, "<marker>")) is None
    created = yield service.create(TARGET, "<marker> one")
    found = yield service.find(TARGET, "<marker>")
    assert found == created
    yield service.edit(TARGET, found.id, "<marker> two")
    assert host.bodies(*TARGET) == ["<marker> two"]


@inlineCallbacks
def test_a_comment_of_somebody_else_is_left_alone(host, service):
    """The marker in a comment of another user is not the own comment, whether it is before or after it."""
    host.add(*TARGET, "<marker> copied", SOMEBODY)
    assert (yield service.find(TARGET, "<marker>")) is None
    own = host.add(*TARGET, "<marker> own")
    host.add(*TARGET, "<marker> copied again", SOMEBODY)
    assert (yield service.find(TARGET, "<marker>")).id == own["id"]


@inlineCallbacks
def test_the_comment_is_on_a_later_page(host, service):
    """All pages are searched."""
    for number in range(95):
        host.add(*TARGET, f"comment {number}", SOMEBODY)
    own = host.add(*TARGET, "<marker>")
    assert (yield service.find(TARGET, "<marker>")).id == own["id"]


@inlineCallbacks
def test_the_token_of_an_app():
    """GitHub tells no user of an app's token; its comments are those of bots."""
    with GitHubHost() as host:
        host.user_status = 403
        service = make_service(host)
        host.add(*TARGET, "<marker> copied", SOMEBODY)
        own = host.add(*TARGET, "<marker>", {"login": "ci[bot]", "id": 9, "type": "Bot"})
        assert (yield service.find(TARGET, "<marker>")).id == own["id"]


@inlineCallbacks
def test_a_deleted_comment_is_a_404(host, service):
    """Editing a comment that is gone fails with status 404."""
    assert (yield failure_of(service.edit(TARGET, 99, "text"))).status == 404


@inlineCallbacks
def test_a_wrong_token_is_not_shown(host):
    """The error of a refused token has the service's words and not the token."""
    error = yield failure_of(make_service(host, "secret-token").find(TARGET, "x"))
    assert (error.status, error.permanent) == (401, False)
    assert "secret-token" not in str(error)
    assert "Bad credentials" in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "retry_after"),
    [
        (401, {}, False, None),
        (403, {}, False, None),
        (403, {"Retry-After": "60"}, False, 60),
        (429, {"Retry-After": "7"}, False, 7),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, False, None),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, False, 0),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999999"}, False, 3600),
        (404, {}, True, None),
        (422, {}, True, None),
        (500, {}, False, None),
        (503, {"Retry-After": "2"}, False, 2),
    ],
)
@inlineCallbacks
def test_errors_say_whether_to_try_again(host, service, status, headers, permanent, retry_after):
    """Limits of rates and errors of a server may pass, refusals of the request do not."""
    host.failures.append(Failure(status, headers))
    error = yield failure_of(service.create(TARGET, "text"))
    assert (error.status, error.permanent, error.retry_after) == (status, permanent, retry_after)
    assert "failure of the test" in str(error)


@inlineCallbacks
def test_no_answer(host):
    """A service that does not answer, or closes the connection, fails the request in its time."""
    slow = make_service(host, timeout=0.2)
    host.failures.append(Failure(200, delay=1.0))
    error = yield failure_of(slow.create(TARGET, "text"))
    assert (error.status, error.permanent) == (0, False)
    assert "0.2 s" in str(error)
    host.failures.append(Failure(0))
    error = yield failure_of(make_service(host).create(TARGET, "text"))
    assert (error.status, error.permanent) == (0, False)


@inlineCallbacks
def test_a_slow_answer():
    """An answer that comes a byte at a time fails the request at its deadline too."""
    with Dripping(0.01) as slow:
        error = yield failure_of(make_service(slow, "token", timeout=0.3).create(TARGET, "text"))
    assert (error.status, error.permanent) == (0, False)
    assert "0.3 s" in str(error)


@pytest.mark.parametrize("body", ["<html>login</html>", "[1, 2]", "null", '{"id": "x"}', "[" * 100_000])
@inlineCallbacks
def test_another_answer(host, service, body):
    """An answer of another program is an error."""
    host.failures += [Failure(200, body=body)]
    error = yield failure_of(service.create(TARGET, "text"))
    assert "answer" in str(error)


@inlineCallbacks
def test_a_huge_answer(host, service):
    """An answer is read up to a limit."""
    host.failures.append(Failure(200, body='"' + "x" * MAX_ANSWER + '"'))
    assert "more than" in str((yield failure_of(service.create(TARGET, "text"))))


@inlineCallbacks
def test_redirects(host, service):
    """A moved project is followed on the same host, and nowhere else: the request has the token."""
    moved = f"{host.url}{'/repos/new/name/issues/12/comments' if isinstance(host, GitHubHost) else ''}"
    if isinstance(host, GitHubHost):
        host.failures.append(Failure(307, {"Location": moved}))
        yield service.create(TARGET, "text")
        assert host.bodies("new/name", 12) == ["text"]
    with type(host)() as other:
        host.failures.append(Failure(307, {"Location": f"{other.url}/"}))
        assert (yield failure_of(service.create(TARGET, "text"))).status == 307
        assert other.requests == []
