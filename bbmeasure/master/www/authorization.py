"""Who may see what: a builder's data is for whoever may GET its builds by the rules of the master's own ``authz``.

Points outside builds, and those of builders that the master's database does not have, are for whoever may see every
builder.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from twisted.internet import defer, task
from twisted.web.error import Error

#: Seconds for which the builders' ids are remembered.
REMEMBERED = 5.0
#: Builders that are checked in one turn of the reactor.
A_TURN = 20
_FORBIDDEN = 403


class Access:
    """Makes a :class:`Viewer` for each request to one master."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self._ids: dict[str, int] = {}
        self._until = 0.0

    @defer.inlineCallbacks
    def builders(self, name: Optional[str] = None) -> Generator[Any, Any, dict[str, int]]:
        """The ids of all builders in the master's database by name, asked for anew where ``name`` is not known."""
        now = self.master.reactor.seconds()
        if now >= self._until or (name is not None and name not in self._ids):
            found = yield self.master.data.get(("builders",))
            self._ids = {builder["name"]: builder["builderid"] for builder in found}
            self._until = now + REMEMBERED
        return self._ids

    def viewer(self, request: Any) -> Viewer:
        """Who made that request."""
        return Viewer(self, request)


class Viewer:
    """Who made one request.  What the rules said is remembered for that request alone."""

    def __init__(self, access: Access, request: Any) -> None:
        self._access = access
        self._master = access.master
        self._request = request
        self._said: dict[int, bool] = {}
        self._visible: Optional[frozenset[str]] = None
        self._asked = False

    @defer.inlineCallbacks
    def may_see_id(self, builderid: int) -> Generator[Any, Any, bool]:
        """Whether the builder of that id may be shown."""
        if builderid not in self._said:
            endpoint = ("builders", str(builderid), "builds")
            try:
                yield self._master.www.assertUserAllowed(self._request, endpoint, "GET", {})
                self._said[builderid] = True
            except Error as error:
                if int(error.status) != _FORBIDDEN:
                    raise
                self._said[builderid] = False
        return self._said[builderid]

    @defer.inlineCallbacks
    def may_see(self, builder: str) -> Generator[Any, Any, bool]:
        """Whether the builder of that name may be shown."""
        if not self._has_rules:
            return True
        ids = yield self._access.builders(builder)
        if builder in ids:
            allowed: bool = yield self.may_see_id(ids[builder])
            return allowed
        visible = yield self.visible()
        return visible is None

    @defer.inlineCallbacks
    def visible(self) -> Generator[Any, Any, Optional[frozenset[str]]]:
        """The names of the builders that may be shown; None where all may, and with them all else."""
        if not self._asked and self._has_rules:
            ids = yield self._access.builders()
            seen = set()
            for number, (name, builderid) in enumerate(ids.items(), start=1):
                if (yield self.may_see_id(builderid)):
                    seen.add(name)
                if number % A_TURN == 0:
                    yield task.deferLater(self._master.reactor, 0)
            self._visible = None if len(seen) == len(ids) and ids else frozenset(seen)
        self._asked = True
        return self._visible

    @property
    def _has_rules(self) -> bool:
        return bool(getattr(self._master.www.authz, "allowRules", True))
