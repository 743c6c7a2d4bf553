"""Authorization by the master's own ``authz``: a builder's points are shown to a user who may GET its builds.

Points outside builds, and points of builders that the master's database does not have, are shown to a user who may see
every builder.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from twisted.internet import defer, task
from twisted.web.error import Error

#: Seconds for which the ids of the builders are cached.
BUILDER_IDS_TTL = 5.0
#: Builders that are checked in one iteration of the reactor.
BUILDERS_PER_ITERATION = 20

_FORBIDDEN = 403


class Authorizer:
    """Makes a :class:`Viewer` for each request to one master."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self._builder_ids: dict[str, int] = {}
        self._expires = 0.0

    @defer.inlineCallbacks
    def builder_ids(self, name: Optional[str] = None) -> Generator[Any, Any, dict[str, int]]:
        """The ids of the master's builders by name; the cache is refreshed if it does not have ``name``."""
        now = self.master.reactor.seconds()
        if now >= self._expires or (name is not None and name not in self._builder_ids):
            builders = yield self.master.data.get(("builders",))
            self._builder_ids = {builder["name"]: builder["builderid"] for builder in builders}
            self._expires = now + BUILDER_IDS_TTL
        return self._builder_ids

    def viewer(self, request: Any) -> Viewer:
        """The user who made the request."""
        return Viewer(self, request)


class Viewer:
    """The user who made one request, with the decisions of ``authz`` for that request."""

    def __init__(self, authorizer: Authorizer, request: Any) -> None:
        self._authorizer = authorizer
        self._master = authorizer.master
        self._request = request
        self._decisions: dict[int, bool] = {}
        self._visible: Optional[frozenset[str]] = None
        self._has_visible = False

    @defer.inlineCallbacks
    def may_see_id(self, builderid: int) -> Generator[Any, Any, bool]:
        """Whether the user may see the builder with that id."""
        if builderid not in self._decisions:
            endpoint = ("builders", str(builderid), "builds")
            try:
                yield self._master.www.assertUserAllowed(self._request, endpoint, "GET", {})
                self._decisions[builderid] = True
            except Error as error:
                if int(error.status) != _FORBIDDEN:
                    raise
                self._decisions[builderid] = False
        return self._decisions[builderid]

    @defer.inlineCallbacks
    def may_see(self, builder: str) -> Generator[Any, Any, bool]:
        """Whether the user may see the builder with that name."""
        if not self._has_rules:
            return True
        builder_ids = yield self._authorizer.builder_ids(builder)
        if builder in builder_ids:
            allowed: bool = yield self.may_see_id(builder_ids[builder])
            return allowed
        visible = yield self.visible()
        return visible is None

    @defer.inlineCallbacks
    def visible(self) -> Generator[Any, Any, Optional[frozenset[str]]]:
        """The names of the builders that the user may see; None if that is everything."""
        if not self._has_visible and self._has_rules:
            builder_ids = yield self._authorizer.builder_ids()
            visible = set()
            for number, (name, builderid) in enumerate(builder_ids.items(), start=1):
                if (yield self.may_see_id(builderid)):
                    visible.add(name)
                if number % BUILDERS_PER_ITERATION == 0:
                    yield task.deferLater(self._master.reactor, 0)
            self._visible = None if len(visible) == len(builder_ids) and builder_ids else frozenset(visible)
        self._has_visible = True
        return self._visible

    @property
    def _has_rules(self) -> bool:
        return bool(getattr(self._master.www.authz, "allowRules", True))
