"""Authorization by the master's own ``authz``: a builder's points are shown to a user who may GET its builds.

Points outside builds, and points of builders that the master's database does not have, are shown to a user who may see
every builder.  ``authz`` is asked for each builder in each request, as nothing that was allowed before says that it is
allowed now; a subclass of Buildbot's Authz also where it has no rules, as it may decide without them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from buildbot.www.authz.authz import Authz
from twisted.internet import defer, task
from twisted.web.error import Error

from bbmeasure.errors import MeasureError

#: Builders that are checked in one iteration of the reactor.
BUILDERS_PER_ITERATION = 100

_FORBIDDEN = 403


#: The action on the endpoint ("builders", ID) that a rule for decisions on alerts names.
DECIDE = "accept"


class AccessDeniedError(MeasureError):
    """A request for something that the user may not see or change."""


class BuilderIds:
    """The ids of the builders in the master's database by name."""

    def __init__(self, master: Any) -> None:
        self._database = master.db
        #: The ids that were read last; None before.
        self.last: Optional[dict[str, int]] = None

    @defer.inlineCallbacks
    def read(self) -> Generator[Any, Any, dict[str, int]]:
        """Read the ids: the Data API reads tags and masters of all builders too, in ten times the time."""

        def query(connection: Any) -> dict[str, int]:
            rows = connection.execute(self._database.model.builders.select()).fetchall()
            return {str(row.name): int(row.id) for row in rows}

        ids: dict[str, int] = yield self._database.pool.do(query)
        self.last = ids
        return ids


class Viewer:
    """The user who made one request, with the decisions of ``authz`` for that request.

    They are made for the builders that were read last, if there are any: an answer is right if :meth:`is_current` says
    so after it was computed.
    """

    def __init__(self, master: Any, request: Any, builder_ids: BuilderIds) -> None:
        self._master = master
        self._request = request
        self._config, self._authz = master.config, master.www.authz
        #: Whether every user may see everything: Buildbot's own Authz allows what no rule forbids.
        self._has_no_rules = type(self._authz) is Authz and not self._authz.allowRules
        self._read_ids = builder_ids.read
        self._builder_ids = builder_ids.last
        self._decisions: dict[int, bool] = {}
        self._visible: Optional[frozenset[str]] = None
        self._has_visible = False
        self._has_used_ids = False

    @defer.inlineCallbacks
    def may_see_id(self, builderid: int) -> Generator[Any, Any, bool]:
        """Whether the user may see the builder with that id."""
        if builderid not in self._decisions:
            self._decisions[builderid] = yield self._may("GET", "builders", str(builderid), "builds")
        return self._decisions[builderid]

    @defer.inlineCallbacks
    def _may(self, action: str, *endpoint: str) -> Generator[Any, Any, bool]:
        try:
            yield self._master.www.assertUserAllowed(self._request, endpoint, action, {})
        except Error as error:
            if int(error.status) != _FORBIDDEN:
                raise
            return False
        return True

    @defer.inlineCallbacks
    def may_see(self, builder: str) -> Generator[Any, Any, bool]:
        """Whether the user may see the builder with that name."""
        if self._has_no_rules:
            return True
        builder_ids = yield self._ids()
        if builder in builder_ids:
            allowed: bool = yield self.may_see_id(builder_ids[builder])
            return allowed
        visible = yield self.visible()
        return visible is None

    @defer.inlineCallbacks
    def may_decide(self, builder: str) -> Generator[Any, Any, bool]:
        """Whether the user may decide on alerts of the builder with that name."""
        if not (yield self.may_see(builder)):
            return False
        builder_ids = yield self._ids()
        if builder not in builder_ids:
            return True
        allowed: bool = yield self._may(DECIDE, "builders", str(builder_ids[builder]))
        return allowed

    @defer.inlineCallbacks
    def visible(self) -> Generator[Any, Any, Optional[frozenset[str]]]:
        """The names of the builders that the user may see; None if that is everything."""
        if not (self._has_visible or self._has_no_rules):
            builder_ids = yield self._ids()
            visible = set()
            for number, (name, builderid) in enumerate(builder_ids.items(), start=1):
                if (yield self.may_see_id(builderid)):
                    visible.add(name)
                if number % BUILDERS_PER_ITERATION == 0:
                    yield task.deferLater(self._master.reactor, 0)
            sees_all = len(visible) == len(builder_ids) if builder_ids else (yield self._may("GET", "builders"))
            self._visible = None if sees_all else frozenset(visible)
            self._has_visible = True
        return self._visible

    @defer.inlineCallbacks
    def is_current(self) -> Generator[Any, Any, bool]:
        """Whether the decisions hold: the same configuration, and the builders that the database has now."""
        if self._master.config is not self._config or self._master.www.authz is not self._authz:
            return False
        if not self._has_used_ids:
            return True
        builder_ids = yield self._read_ids()
        return bool(builder_ids == self._builder_ids)

    @defer.inlineCallbacks
    def _ids(self) -> Generator[Any, Any, dict[str, int]]:
        """The ids of the master's builders by name."""
        self._has_used_ids = True
        if self._builder_ids is None:
            self._builder_ids = yield self._read_ids()
        return self._builder_ids
