"""Decisions on alerts by signed-in users: POST ``alerts/ID`` with ``{"state", "why"}``.

Only a page of an allowed origin can send JSON to another site, and a browser names the origin of such a request.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Generator
from typing import Any, Optional
from urllib.parse import urlsplit

from twisted.internet import defer
from twisted.web.error import Error

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError, QueryError, UnknownSeriesError
from bbmeasure.master.www.arguments import read_integer
from bbmeasure.master.www.authorization import AccessDeniedError, BuilderIds, Viewer
from bbmeasure.reports.alert_answers import alert_answer, check_decision
from bbmeasure.reports.judge import Judge
from bbmeasure.storage.verdict_store import OPEN, Alert, VerdictStore

#: The largest body of a request, in bytes.
MAX_BODY = 16 * 1024
#: The largest id of an alert.
MAX_ID = 2**53


class DecidedError(MeasureError):
    """The alert is not open any more."""


class Decisions:
    """Decides alerts of one master."""

    def __init__(self, master: Any, state: MasterState) -> None:
        self.master = master
        self.state = state

    @defer.inlineCallbacks
    def decide(self, request: Any, text: str) -> Generator[Any, Any, dict[str, Any]]:
        """Decide the alert with the id ``text``; returns it as the API shows it."""
        self._check_origin(request)
        who = yield self._user(request)
        state, why = _read_body(request)
        store = self.state.component(Judge).store
        alert_id = read_integer(text, "alert", 1, MAX_ID)
        alert = None if store is None else (yield store.alert(alert_id))
        if store is None or alert is None:
            raise UnknownSeriesError(f"alert {alert_id}: no such alert")
        viewer = Viewer(self.master, request, BuilderIds(self.master))
        if not (yield viewer.may_decide(alert.line.builder)):
            raise AccessDeniedError(f"alert {alert_id}: you may not decide on it")
        decided = yield self._decide(store, alert, state, who, why)
        return decided  # type: ignore[no-any-return]

    @defer.inlineCallbacks
    def _decide(
        self, store: VerdictStore, alert: Alert, state: str, who: str, why: str
    ) -> Generator[Any, Any, dict[str, Any]]:
        done = yield store.decide(alert.id, state, who, why)
        alert = yield store.alert(alert.id)
        if not done:
            raise DecidedError(f"alert {alert.id}: {alert.state}, expected an {OPEN} one")
        mutes = yield store.mutes()
        return alert_answer(alert, mutes, float(self.master.reactor.seconds()))

    def _check_origin(self, request: Any) -> None:
        """AccessDeniedError for a request of a page of another site; one without an origin is of no page."""
        content_type = (request.getHeader(b"content-type") or b"").split(b";")[0].strip().lower()
        if content_type not in (b"application/json", "application/json"):
            raise QueryError("content-type: expected application/json")
        origin = request.getHeader(b"origin")
        if origin is None:
            return
        url = urlsplit(self.master.config.buildbotURL)
        allowed = self.master.config.www.get("allowed_origins", [f"{url.scheme}://{url.netloc}"])
        shown = _text(origin).lower()
        if not any(fnmatch.fnmatchcase(shown, _text(pattern).lower()) for pattern in allowed):
            raise AccessDeniedError("origin: expected an allowed one, see allowed_origins of c['www']")

    @defer.inlineCallbacks
    def _user(self, request: Any) -> Generator[Any, Any, str]:
        """The name of the user; AccessDeniedError for one who is not signed in."""
        who = self._signed_in(request)
        auth = self.master.config.www.get("auth")
        if who is None and auth is not None:
            try:
                yield auth.maybeAutoLogin(request)  # a reverse proxy signs users in at each request
            except Error as error:
                raise AccessDeniedError("sign in to decide on alerts") from error
            who = self._signed_in(request)
        if who is None:
            raise AccessDeniedError("sign in to decide on alerts")
        return who

    def _signed_in(self, request: Any) -> Optional[str]:
        """The name of the user of the request's session; None for an anonymous one."""
        info = self.master.www.getUserInfos(request)
        if info.get("anonymous"):
            return None
        names = (info.get(field) for field in ("email", "username", "full_name"))
        return next((str(name) for name in names if name), None)


def _read_body(request: Any) -> tuple[str, str]:
    """State and reason; QueryError for a body that is not JSON with these two."""
    body = request.content.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise QueryError(f"body: expected at most {MAX_BODY} bytes")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or set(fields) != {"state", "why"}:
        raise QueryError('body: expected JSON such as {"state": "accepted", "why": "a new compiler"}')
    return check_decision(fields["state"], fields["why"])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
