"""Suspects of an alert: the changes between the last build of the old level and the first of the new one.

Buildbot's own list of the changes of a build begins at the last successful build, which says nothing about a level;
of several builds that ended within one second it takes any for the last.
Buildbot links each change with the one before it of the same branch, repository and codebase; these links are followed
from the change of the first build back to that of the last one.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Optional

from buildbot.data.changes import ChangesEndpoint
from buildbot.data.resultspec import Filter
from twisted.internet import defer

from bbmeasure.capture.branches import BranchPolicy, SourceFacts, branch_of
from bbmeasure.master.tracking.recorded_sources import change_row_facts
from bbmeasure.storage.verdict_store import Alert

#: The most suspects of an alert, the most changes that are followed, and the longest text of each field.
MAX_SUSPECTS = 50
MAX_FOLLOWED = 500
MAX_TEXT = 200
#: The most changes that are loaded to find a revision with Buildbot 3.7, which filters them by their id only.
MAX_LOADED = 1_000

Change = Mapping[str, Any]


@defer.inlineCallbacks
def find_suspects(master: Any, alert: Alert) -> Generator[Any, Any, Mapping[str, Any]]:
    """The suspects of an alert, as its facts hold them."""
    return {"suspects": (yield find_commits(master, alert.buildid, alert.facts.get("last_buildid")))}


@defer.inlineCallbacks
def find_commits(master: Any, buildid: int, last_buildid: Optional[int]) -> Generator[Any, Any, list[dict[str, str]]]:
    """The commits of a build that an earlier build of the branch lacks, newest first, at most MAX_SUSPECTS.

    Without an earlier build, the commit of the build alone.  Each has ``revision``, ``author``, ``subject`` and
    ``url``, as texts that may be empty.
    """
    first = yield _changes_of(master, buildid)
    last: dict[str, Change] = {} if last_buildid is None else (yield _changes_of(master, last_buildid))
    commits: list[dict[str, str]] = []
    for codebase, change in sorted(first.items()):
        found = yield _between(master, change, last.get(codebase))
        commits += [_commit(one) for one in found]
    return commits[:MAX_SUSPECTS]


@defer.inlineCallbacks
def _changes_of(master: Any, buildid: int) -> Generator[Any, Any, dict[str, Change]]:
    """The change that a build has built, by codebase."""
    get = master.data.get
    build = yield get(("builds", buildid))
    request = None if build is None else (yield get(("buildrequests", build["buildrequestid"])))
    buildset = None if request is None else (yield get(("buildsets", request["buildsetid"])))
    if buildset is None:
        return {}
    properties = yield get(("builds", buildid, "properties"))
    got, _ = properties.get("got_revision", (None, ""))
    found = {}
    for stamp in buildset["sourcestamps"]:
        revision = got.get(stamp["codebase"]) if isinstance(got, Mapping) else got
        change = yield _change_of(master, stamp, revision or stamp["revision"])
        if change is not None:
            found[stamp["codebase"]] = change
    return found


@defer.inlineCallbacks
def _change_of(master: Any, stamp: Mapping[str, Any], revision: Any) -> Generator[Any, Any, Optional[Change]]:
    """The change of the revision that was built, else that of its source stamp."""
    own = yield master.data.get(("sourcestamps", stamp["ssid"], "changes"))
    if not (isinstance(revision, str) and revision) or any(change["revision"] == revision for change in own):
        return own[-1] if own else None
    filters = [Filter("revision", "eq", [revision]), Filter("codebase", "eq", [stamp["codebase"]])]
    if (
        "revision" not in ChangesEndpoint.fieldMapping
    ):  # Buildbot 3.7 loads the changes, each by itself, and filters them
        latest = yield master.db.changes.getLatestChangeid()
        filters.append(Filter("changeid", "gt", [(latest or 0) - MAX_LOADED]))
    changes = yield master.data.get(("changes",), filters=filters)
    same = [change for change in changes if change["branch"] == stamp["branch"]] or changes or own[-1:]
    return max(same, key=lambda change: change["changeid"], default=None)


@defer.inlineCallbacks
def _between(master: Any, change: Change, last: Optional[Change]) -> Generator[Any, Any, list[Change]]:
    """The changes from ``change`` back to ``last``, which is not among them; without it ``change`` alone.

    There are none where ``change`` is not newer than ``last``, as for a commit that is built again.  Changes of
    requests, which some hooks give the branch of their target, are left out.
    """
    if last is not None and change["changeid"] <= last["changeid"]:
        return []
    found = [change]
    for _ in range(MAX_FOLLOWED):
        if last is None or len(found) >= MAX_SUSPECTS or not change["parent_changeids"]:
            break
        change = yield master.data.get(("changes", change["parent_changeids"][0]))
        if change is None or change["changeid"] <= last["changeid"]:
            break
        if not _is_request(change):
            found.append(change)
    return found


def _is_request(change: Change) -> bool:
    return branch_of([SourceFacts(change["branch"], changes=[change_row_facts(change)])], BranchPolicy()).is_proposal


def _commit(change: Change) -> dict[str, str]:
    subject = str(change["comments"] or "").strip().partition("\n")[0]
    url = _short(change["revlink"])
    return {
        "revision": _short(change["revision"]),
        "author": _short(change["author"]),
        "subject": _short(subject),
        "url": url if url.startswith(("http://", "https://")) else "",
    }


def _short(text: Any) -> str:
    """A text of a change, shortened."""
    return str(text or "")[:MAX_TEXT]
