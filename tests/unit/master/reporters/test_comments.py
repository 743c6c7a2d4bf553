"""When comments are written: by the verdicts of builds, one at a time, again after errors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.internet import defer, task

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.master.reporters import comments
from bbmeasure.master.reporters.comments import MAX_ATTEMPTS, MAX_PENDING, RESUME_AFTER, Commenter
from bbmeasure.master.reporters.http import ServiceError
from bbmeasure.master.reporters.proposals import ProposedBuild
from bbmeasure.master.reporters.services import Comment, Target
from tests.unit.master.reporters.verdicts import build, line

HOST = "github.example"


class FakeService:
    """A service in memory; ``hold`` keeps requests waiting, ``errors`` are raised by the next requests."""

    host, kind = HOST, "pull"

    def __init__(self):
        self.comments, self.log, self.errors = {}, [], []
        self.hold, self.held, self.running, self.most = False, [], 0, 0
        self.closed = False

    @defer.inlineCallbacks
    def _request(self, *what):
        self.log.append(what)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.hold:
                self.held.append(defer.Deferred())
                yield self.held[-1]
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self.running -= 1

    @defer.inlineCallbacks
    def find(self, target, marker):
        yield self._request("find", target)
        for comment in self.comments.get(target, []):
            if marker in comment.body:
                return comment
        return None

    @defer.inlineCallbacks
    def create(self, target, body):
        yield self._request("create", target)
        made = Comment(len(self.log), body)
        self.comments.setdefault(target, []).append(made)
        return made

    @defer.inlineCallbacks
    def edit(self, target, comment, body):
        yield self._request("edit", target)
        for at, one in enumerate(self.comments.get(target, [])):
            if one.id == comment:
                self.comments[target][at] = Comment(comment, body)
                return self.comments[target][at]
        raise ServiceError("gone", 404)

    def close(self):
        self.closed = True


class Site:
    """The state of a master whose journal has the builds of proposals in ``builds`` and ``verdicts``.

    ``untold`` are the builds that the journal has for the comments; ``before`` is the site before a restart.
    """

    def __init__(self, monkeypatch, mode="new", name="master", builders=None, before=None):
        self.clock = task.Clock()
        self.builds, self.verdicts, self.untold = {}, {}, []
        self.service = FakeService()
        if before is not None:
            self.builds, self.verdicts, self.untold = before.builds, before.verdicts, before.untold
            self.service.comments = before.service.comments
        self.listeners = []
        self.store = SimpleNamespace(untold=self._untold, told=self._told)
        judge = SimpleNamespace(
            subscribe=self._subscribe, verdicts_of=self._verdicts_of, store=self.store, reporters={}
        )
        storage = SimpleNamespace(builds_of_proposal=self._builds_of)
        pipeline = self.pipeline = Pipeline(self.clock)
        pipeline.stores = [storage]
        master = SimpleNamespace(name=name, config=SimpleNamespace(buildbotURL="http://ci/"))
        self.state = SimpleNamespace(master=master, pipeline=pipeline, component=lambda _: judge, builds=self.builds)
        monkeypatch.setattr(comments, "SQLiteStorage", SimpleNamespace)
        monkeypatch.setattr(comments, "proposed_builds", lambda state, buildid: defer.succeed(state.builds[buildid]))
        monkeypatch.setattr(comments, "random", lambda: 1.0)
        self.commenter = Commenter(self.state, self.service, "comment", mode, builders)
        assert judge.reporters == {"comment": True}

    def _untold(self, reporter, limit):
        assert reporter == "comment"
        return defer.succeed(self.untold[:limit])

    def _told(self, reporter, buildids):
        assert reporter == "comment"
        self.untold[:] = [buildid for buildid in self.untold if buildid not in buildids]
        return defer.succeed(None)

    def _subscribe(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def _verdicts_of(self, buildid):
        return defer.succeed(self.verdicts.get(buildid))

    def _builds_of(self, proposal, limit):
        found = [id_ for id_, builds in self.builds.items() if any(one.name == proposal for one in builds)]
        return defer.succeed(sorted(found, reverse=True)[:limit])

    def finish(self, buildid, *lines, builder="b", number=12, also=(), order=(1, 1), host=HOST, kind="pull", **more):
        """A build of a proposal ends, of several with ``also``."""
        self.builds[buildid] = [
            ProposedBuild(
                buildid,
                builder,
                buildid,
                1,
                Target("o/p", one),
                host,
                kind,
                f"refs/pull/{number}",
                "main",
                f"rev{order[1]}",
                order[1],
                order,
            )
            for one in (number, *also)
        ]
        self.verdicts[buildid] = build(*lines, buildid=buildid, **more)
        self.untold.append(buildid)
        for listener in list(self.listeners):
            listener(self.verdicts[buildid])

    def texts(self, number=12):
        return [comment.body for comment in self.service.comments.get(Target("o/p", number), [])]

    @property
    def health(self):
        return self.commenter.health()


@pytest.fixture
def site(monkeypatch):
    return Site(monkeypatch)


def test_builds_that_are_found_slowly(site, monkeypatch):
    """A database that is slow does not shorten the time for which builds wait for the store; an error is counted."""
    found = defer.Deferred()
    monkeypatch.setattr(comments, "proposed_builds", lambda state, buildid: found)
    before = site.pipeline.timeout
    site.finish(1, line())
    site.clock.advance(5)
    assert (site.pipeline.timeout, site.pipeline.counters["late"]) == (before, 0)
    found.errback(ValueError("no such row"))
    assert site.pipeline.counters["comments_failed"] == 1


def test_silence_while_nothing_is_worse(site):
    """A proposal in which nothing is worse gets no comment."""
    site.finish(1, normal=3)
    assert [what for what, _ in site.service.log] == ["find"]
    site.finish(2, normal=3)
    assert len(site.service.log) == 1  # that there is none is remembered
    assert site.health.last_error is None


def test_mode_all(monkeypatch):
    """In the mode all each proposal with measurements gets a comment."""
    site = Site(monkeypatch, "all")
    site.finish(1, normal=3)
    assert "✔ 3 normal" in site.texts()[0]


def test_two_builders_that_finish_together(site):
    """Both results are in one comment, written by one request at a time."""
    site.service.hold = True
    site.finish(1, line(), builder="b")
    site.finish(2, line("lint"), builder="c")
    assert site.health.backlog == 1  # one proposal, that is updated and waits for the next update
    while site.service.held:
        site.service.held.pop(0).callback(None)
    (text,) = site.texts()
    assert "wheel_size" in text
    assert "lint" in text
    assert site.service.most == 1
    assert [what for what, _ in site.service.log] == ["find", "create"]


def test_a_later_build_edits_the_comment(site):
    """The second builder's result is added, a rebuild replaces its builder's, and nothing is written twice."""
    site.finish(1, line(), builder="b")
    site.finish(2, line("lint"), builder="c")
    site.finish(3, normal=1, builder="c")
    (text,) = site.texts()
    assert "wheel_size" in text
    assert "lint" not in text
    before = len(site.service.log)
    site.listeners[0](site.verdicts[3])
    assert len(site.service.log) == before


def test_well_again_in_the_next_revision(site):
    """The next revision's comment replaces that of the one before, which is not written any more."""
    site.finish(1, line(), order=(1, 1))
    site.finish(2, normal=1, order=(2, 2))
    assert "Nothing is worse any more" in site.texts()[0]
    site.finish(3, normal=2, builder="c", order=(2, 2))
    assert "Nothing is worse any more: 3 normal" in site.texts()[0]
    site.finish(4, line(), order=(1, 1))
    assert "Nothing is worse any more" in site.texts()[0]


def test_builds_of_others(site):
    """A build that is of no proposal, or of one of another service, causes no request."""
    site.finish(1, line(), host="gitlab.example")
    site.finish(3, line(), kind="merge_requests")
    site.builds[2] = []
    site.untold.append(2)
    site.listeners[0](build(line(), buildid=2))
    assert (site.service.log, site.untold) == ([], [])


def test_a_deleted_comment(site):
    """A comment that somebody has deleted is written anew."""
    site.finish(1, line())
    site.service.comments.clear()
    site.finish(2, line("lint"), builder="c")
    assert len(site.texts()) == 1
    assert site.health.counters["deleted"] == 1


def test_a_comment_from_before_a_restart(site, monkeypatch):
    """The comment is found again by its marker, and what it is about is known from it."""
    site.finish(1, line(), order=(5, 5))
    again = Site(monkeypatch)
    again.service.comments = site.service.comments
    again.finish(1, line(), order=(4, 4))
    assert "order=5.5" in again.texts()[0]
    again.finish(2, normal=1, order=(6, 6))
    assert "order=6.6" in again.texts()[0]
    assert len(again.texts()) == 1


def test_what_waits_at_a_restart_is_written(site, monkeypatch):
    """The comments that were not written when the master died are written after its start, also without a new build."""
    site.finish(1, normal=1, number=11)
    assert site.untold == []
    site.service.hold = True
    site.finish(2, line(), number=12)
    site.finish(3, line("lint"), number=13)
    site.commenter.stop()
    site.finish(4, line("kept"), number=14)  # the master died before it told that
    assert site.untold == [2, 3, 4]
    again = Site(monkeypatch, before=site)
    again.clock.advance(RESUME_AFTER)
    assert [len(again.texts(number)) for number in (11, 12, 13, 14)] == [0, 1, 1, 1]
    assert again.untold == []
    third = Site(monkeypatch, before=again)
    third.clock.advance(RESUME_AFTER)
    assert third.service.log == []


def test_a_master_without_a_journal(site):
    """Without a journal nothing is kept for a restart."""
    site.commenter._judge.store = None
    site.clock.advance(RESUME_AFTER)
    site.finish(1, line())
    assert len(site.texts()) == 1


def test_a_build_of_two_proposals(site):
    """A build is told when the comments on both of its proposals are written."""
    site.service.hold = True
    site.finish(1, line(), number=12, also=[13])
    for texts, untold in (([0, 0], [1]), ([1, 0], [1]), ([1, 0], [1]), ([1, 1], [])):
        site.service.held.pop(0).callback(None)
        assert ([len(site.texts(number)) for number in (12, 13)], site.untold) == (texts, untold)


def test_only_some_builders(monkeypatch):
    """Of other builders the comment shows nothing, and they cause no request."""
    site = Site(monkeypatch, builders=["b"])
    site.finish(1, line("secret_size"), builder="secret")
    assert site.service.log == []
    site.finish(2, line(), builder="b")
    (text,) = site.texts()
    assert "secret" not in text


def test_two_masters(site, monkeypatch):
    """Each of two masters has a comment of its own, and edits only that."""
    other = Site(monkeypatch, name="other master")
    other.service.comments = site.service.comments
    site.finish(1, line())
    other.finish(1, line("lint"))
    site.finish(2, normal=1, order=(2, 2))
    first, second = site.texts()
    assert "Nothing is worse any more" in first
    assert "lint" in second


def test_errors_are_tried_again(site):
    """After an error that may pass the comment is written; the trouble is in health until then."""
    site.service.errors = [ServiceError("no answer"), ServiceError("busy", 503)]
    site.finish(1, line())
    assert site.texts() == []
    assert (site.health.last_error, site.health.backlog, site.health.counters["failures"]) == ("no answer", 1, 1)
    site.clock.advance(1.0)
    assert site.health.last_error == "busy"
    site.clock.advance(2.0)
    assert len(site.texts()) == 1
    assert (site.health.last_error, site.health.backlog, site.health.counters["failures"]) == (None, 0, 2)


def test_a_comment_that_is_written_hides_no_error_of_another(site):
    """The health has the error of a proposal while it waits, also after the comment on another was written."""
    site.service.errors = [ServiceError("busy", 503)]
    site.service.hold = True
    site.finish(1, line(), number=12)
    site.finish(2, line(), number=13)
    site.service.held.pop(0).callback(None)
    site.clock.advance(1.0)
    for health in (("busy", 2), ("busy", 2), ("busy", 1), ("busy", 1), (None, 0)):
        assert (site.health.last_error, site.health.backlog) == health
        if site.service.held:
            site.service.held.pop(0).callback(None)
    assert (len(site.texts(12)), len(site.texts(13))) == (1, 1)


def test_the_service_says_when(site):
    """A service that limits rates is not asked before its time."""
    site.service.errors = [ServiceError("rate limit", 403, retry_after=1000.0)]
    site.finish(1, line())
    site.clock.advance(999.0)
    assert len(site.service.log) == 1
    site.clock.advance(1.0)
    assert len(site.texts()) == 1


def test_a_refused_comment_does_not_hold_up_others(site):
    """What a service refuses for good is dropped, counted and named; others are written."""
    site.service.errors = [ServiceError("Validation Failed", 422)]
    site.finish(1, line(), number=12)
    site.finish(2, line(), number=13)
    site.clock.pump([1.0] * 5)
    assert (site.texts(12), len(site.texts(13))) == ([], 1)
    assert (site.health.counters["dropped"], site.health.last_error) == (1, "Validation Failed")
    assert site.untold == []
    site.finish(3, line(), number=12)
    assert (len(site.texts(12)), site.health.last_error) == (1, None)


def test_a_service_that_is_away_for_long(site):
    """The attempts end, and the next build starts anew."""
    site.service.errors = [ServiceError("away", 500)] * MAX_ATTEMPTS
    site.finish(1, line())
    site.clock.pump([60.0] * MAX_ATTEMPTS)
    assert site.texts() == []
    assert (site.health.backlog, site.health.counters["dropped"], site.health.last_error) == (0, 1, "away")
    assert site.untold == []
    site.finish(2, line())
    assert len(site.texts()) == 1


def test_a_service_that_never_answers(site):
    """An update ends in its time, and what waits is bounded."""
    site.service.hold = True
    for number in range(1, MAX_PENDING + 12):
        site.finish(number, line(), number=number)
    assert (site.health.backlog, site.health.counters["dropped"]) == (MAX_PENDING + 1, 10)
    assert site.health.oldest == 0
    site.clock.advance(comments.UPDATE_TIMEOUT)
    assert site.health.counters["failures"] == 1


def test_a_stop_is_immediate(site):
    """A stop cancels the request in flight; later verdicts cause none."""
    site.service.hold = True
    site.finish(1, line())
    site.commenter.stop()
    assert site.service.running == 0
    assert (site.listeners, site.service.closed, site.clock.getDelayedCalls()) == ([], True, [])


def test_a_bug_is_counted(site, monkeypatch):
    """An unexpected exception is counted and ends neither the loop nor a build."""

    def broken(*_):
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(comments, "compose", broken)
    site.finish(1, line())
    assert "ZeroDivisionError" in site.health.last_error
    monkeypatch.undo()
