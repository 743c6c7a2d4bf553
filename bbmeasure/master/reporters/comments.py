"""MeasurementsComment: one comment on each proposal, edited, with the verdicts of all builders of this master."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from random import random
from typing import Any, Optional

from buildbot.reporters import utils
from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.export.backoff import Backoff
from bbmeasure.master.reporters.composition import BuildResult, Marker, compose, is_worse, marker_of
from bbmeasure.master.reporters.digest import Digest
from bbmeasure.master.reporters.http import ServiceError
from bbmeasure.master.reporters.proposals import ProposedBuild, proposed_builds
from bbmeasure.master.reporters.services import Comment, Service, Target
from bbmeasure.model import Health
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import BuildVerdicts
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.times import NANOSECONDS

log = Logger()

#: Proposals that wait for their comment, and proposals and builds that are remembered.
MAX_PENDING = 500
MAX_KNOWN = 2_000
#: Attempts for one proposal, with a backoff of up to a minute between them.
MAX_ATTEMPTS = 12
#: The newest builds of a proposal among which those of its revision are searched.
MAX_BUILDS = 200
#: Seconds of a proposal's whole update, beside the timeout of each request.
UPDATE_TIMEOUT = 120.0
#: Seconds from the start, at which there may be no journal yet, to the comments that were not written before it.
RESUME_AFTER = 10.0


@dataclass
class _Pending:
    """A proposal that waits: its newest build, the reactor's second since which it waits, its attempts, its builds.

    ``error`` is that of the last attempt.
    """

    build: ProposedBuild
    since: float
    attempts: int = 0
    builds: set[int] = field(default_factory=set)
    error: Optional[str] = None


class Commenter:
    """Writes and edits the comments of one service, one at a time.

    ``mode`` decides when a comment is created: ``new`` and ``worse`` where something is worse, ``all`` always.  A
    comment that exists is edited in each mode.  ``builders`` are those whose measurements are shown, None for all.
    """

    def __init__(
        self, state: MasterState, service: Service, name: str, mode: str, builders: Optional[Collection[str]] = None
    ) -> None:
        self.counters: Counter[str] = Counter(created=0, edited=0, failures=0, dropped=0)
        self._state = state
        self._service = service
        self._name = name
        self._mode = mode
        self._shown = None if builders is None else frozenset(builders)
        self._identity = hashlib.blake2b(f"{state.master.name} {name}".encode(), digest_size=6).hexdigest()
        self._pending: OrderedDict[Target, _Pending] = OrderedDict()
        self._comments: OrderedDict[Target, Optional[Comment]] = OrderedDict()
        self._builds: OrderedDict[int, list[ProposedBuild]] = OrderedDict()
        self._backoff = Backoff(random)
        self._updating: Optional[tuple[Target, _Pending]] = None
        self._given_up: Optional[tuple[Target, str]] = None
        self._running: Optional[defer.Deferred[None]] = None
        self._judge = state.component(Judge)
        self._judge.reporters[name] = True
        self._unsubscribe = self._judge.subscribe(self._told)
        self._resuming = state.pipeline.clock.callLater(RESUME_AFTER, self._resume)
        self._stopped = False

    def stop(self) -> None:
        """Stop at once; what waits is written after the next start."""
        self._stopped = True
        self._unsubscribe()
        if self._resuming.active():
            self._resuming.cancel()
        if self._running is not None:
            self._running.cancel()
        self._service.close()

    def health(self) -> Health:
        """Return the counters, the proposals that wait, and the last error.

        It is that of a proposal that waits, else that of the one that was given up last, until its comment is written.
        """
        waiting = [*self._pending.items(), *([] if self._updating is None else [self._updating])]
        errors = [one.error for _, one in waiting if one.error is not None]
        error = errors[-1] if errors else self._given_up and self._given_up[1]
        oldest = min((one.since for _, one in waiting), default=None)
        since = None if oldest is None else int(oldest * NANOSECONDS)
        proposals = len({target for target, _ in waiting})  # one that is updated may wait for the next update, too
        return Health(self._name, proposals, since, error, dict(self.counters))

    # events

    def _told(self, verdicts: BuildVerdicts) -> None:
        """Take the verdicts of a build that has ended."""
        if verdicts.lines:
            self._in_background(self._note(verdicts.buildid), f"build {verdicts.buildid}")

    def _in_background(self, work: defer.Deferred[None], what: str) -> None:
        """Count an error of ``work``; it may take long, and is no write that others wait for."""

        def failed(why: Any) -> None:
            self._state.pipeline.count("comments_failed", f"{self._name}: {what}: {why.value!r}")

        work.addErrback(failed)

    def _resume(self) -> None:
        """Take the verdicts that the journal has and that were not told before the start."""
        self._in_background(self._note_untold(), "comments from before the start")

    @defer.inlineCallbacks
    def _note_untold(self) -> Generator[Any, Any, None]:
        store = self._judge.store
        if store is not None:
            for buildid in (yield store.untold(self._name, MAX_PENDING)):
                yield self._note(buildid)

    @defer.inlineCallbacks
    def _note(self, buildid: int) -> Generator[Any, Any, None]:
        builds = [build for build in (yield self._proposed(buildid)) if self._is_here(build) and self._shows(build)]
        if not builds:
            self._note_told({buildid})
        for build in builds:
            now = float(self._state.pipeline.clock.seconds())
            waiting = self._pending.setdefault(build.target, _Pending(build, now))
            waiting.builds.add(buildid)
            if build.order >= waiting.build.order:
                waiting.build = build
            if len(self._pending) > MAX_PENDING:
                self._pending.popitem(last=False)
                self.counters["dropped"] += 1
        if self._pending and self._running is None and not self._stopped:
            self._running = self._run()
            self._running.addBoth(self._ended)

    def _note_told(self, builds: Collection[int]) -> None:
        """Note in the journal that builds are told, except for those that also build a proposal that waits."""
        waiting = {buildid for one in self._pending.values() for buildid in one.builds}
        told, store = sorted(set(builds) - waiting), self._judge.store
        if told and store is not None:
            self._in_background(store.told(self._name, told), "comments that are written")

    def _is_here(self, build: ProposedBuild) -> bool:
        return (build.host, build.kind) == (self._service.host, self._service.kind)

    def _shows(self, build: ProposedBuild) -> bool:
        return self._shown is None or build.builder in self._shown

    def _ended(self, _: Any) -> None:
        self._running = None

    @defer.inlineCallbacks
    def _proposed(self, buildid: int) -> Generator[Any, Any, list[ProposedBuild]]:
        if buildid not in self._builds:
            _remember(self._builds, buildid, (yield proposed_builds(self._state, buildid)))
        return self._builds[buildid]

    # the loop

    @defer.inlineCallbacks
    def _run(self) -> Generator[Any, Any, None]:
        while self._pending and not self._stopped:
            target, pending = self._pending.popitem(last=False)
            self._updating = target, pending
            try:
                yield self._update(pending.build).addTimeout(UPDATE_TIMEOUT, self._state.pipeline.clock)
            except defer.CancelledError:
                return
            except (MeasureError, defer.TimeoutError) as error:
                yield self._failed(target, pending, error)
            except Exception as error:  # noqa: BLE001  (counted and logged; the other proposals go on)
                log.failure("bbmeasure: {name}: comment", name=self._name)
                yield self._failed(target, pending, ServiceError(f"{type(error).__name__}: {error}", 400))
            else:
                self._updating = None
                self._note_told(pending.builds)
                self._backoff.reset()
                if self._given_up is not None and self._given_up[0] == target:
                    self._given_up = None

    @defer.inlineCallbacks
    def _failed(self, target: Target, pending: _Pending, error: Exception) -> Generator[Any, Any, None]:
        """Count a failure; try again later what may succeed then."""
        self._updating = None
        self.counters["failures"] += 1
        pending.error = str(error) or type(error).__name__
        self._comments.pop(target, None)
        pending.attempts += 1
        retry_after = error.retry_after if isinstance(error, ServiceError) else None
        if pending.attempts >= MAX_ATTEMPTS or (isinstance(error, ServiceError) and error.permanent):
            self.counters["dropped"] += 1
            self._note_told(pending.builds)
            self._given_up = (target, pending.error)
            log.warn(
                "bbmeasure: {name}: no comment on {target}: {why}", name=self._name, target=target, why=pending.error
            )
            return
        newer = self._pending.get(target)
        if newer is not None:
            newer.attempts, newer.error = pending.attempts, pending.error
            newer.builds |= pending.builds
        else:
            self._pending[target] = pending
        delay = self._backoff.next() if retry_after is None else retry_after
        yield task.deferLater(self._state.pipeline.clock, delay)

    # one comment

    @defer.inlineCallbacks
    def _update(self, build: ProposedBuild) -> Generator[Any, Any, None]:
        """Write the comment on the revision of that build, unless the comment is about a later one."""
        target = build.target
        if target not in self._comments:
            found = yield self._service.find(target, marker_of(self._identity))
            _remember(self._comments, target, found)
        comment = self._comments[target]
        before = None if comment is None else Marker.read(comment.body)
        if before is not None and before.order > build.order:
            return
        results = yield self._results(build)
        if not results or (comment is None and self._mode != "all" and not is_worse(results)):
            return
        body = compose(self._identity, results, before)
        if comment is not None and comment.body == body:
            return
        _remember(self._comments, target, (yield self._write(target, comment, body)))

    @defer.inlineCallbacks
    def _write(self, target: Target, comment: Optional[Comment], body: str) -> Generator[Any, Any, Comment]:
        """Edit the comment; create a new one if there is none, or if somebody has deleted it."""
        if comment is not None:
            try:
                edited: Comment = yield self._service.edit(target, comment.id, body)
            except ServiceError as error:
                if error.status not in (404, 410):
                    raise
                self.counters["deleted"] += 1
            else:
                self.counters["edited"] += 1
                return edited
        created: Comment = yield self._service.create(target, body)
        self.counters["created"] += 1
        return created

    @defer.inlineCallbacks
    def _results(self, build: ProposedBuild) -> Generator[Any, Any, list[BuildResult]]:
        """Return the newest build of each builder that the journal has of the revision, with its verdicts."""
        storage = self._state.pipeline.storage
        if not isinstance(storage, SQLiteStorage):
            return []
        newest: dict[str, ProposedBuild] = {}
        for buildid in (yield storage.builds_of_proposal(build.name, MAX_BUILDS)):
            for one in (yield self._proposed(buildid)):
                is_same = _revision(one) == _revision(build)
                if is_same and self._shows(one):
                    newest.setdefault(one.builder, one)
        results = []
        for _, one in sorted(newest.items()):
            verdicts = yield self._judge.verdicts_of(one.buildid)
            if verdicts is not None and verdicts.lines:
                url = utils.getURLForBuild(self._state.master, one.builderid, one.number)
                results.append(BuildResult(one, Digest(verdicts, one.number, proposal=True), url))
        return results


def _revision(build: ProposedBuild) -> tuple[Any, ...]:
    return build.host, build.kind, build.target, build.stamp


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    if len(known) > MAX_KNOWN:
        known.popitem(last=False)
