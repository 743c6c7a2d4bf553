"""MeasurementsGenerator: a report generator for Buildbot's own reporters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, ClassVar, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IReportGenerator
from buildbot.reporters import utils
from buildbot.reporters.generators.utils import BuildStatusGeneratorMixin
from twisted.internet import defer
from zope.interface import implementer

from bbmeasure.master.reporters.digest import Digest
from bbmeasure.master.reporters.markup import MAX_STATUS, cut
from bbmeasure.master.reporters.message import digest_of

MODES = ("new", "worse", "all")
FORMATS = ("text", "html", "markdown", "status", "json")
#: The format of Buildbot's reporters, by the name of a class; of all others it is text.
_FORMATS_OF_REPORTERS = {
    "GitHubCommentPush": "markdown",
    "GitHubStatusPush": "status",
    "GitLabStatusPush": "status",
    "BitbucketStatusPush": "status",
    "BitbucketServerStatusPush": "status",
    "BitbucketServerCoreAPIStatusPush": "status",
    "BitbucketServerPRCommentPush": "markdown",
    "HttpStatusPush": "json",
}
#: The type of a report of Buildbot in each format.
_TYPES = {"html": "html", "json": "json"}


@implementer(IReportGenerator)
class MeasurementsGenerator(BuildStatusGeneratorMixin):
    """Reports the verdicts of a build at its end.

    Args:
        mode: ``new`` reports a build with a verdict that was not told before, ``worse`` each build with a worse one,
            ``all`` each build with verdicts.
        format: ``text``, ``html``, ``markdown``, ``status`` (at most 140 characters) or ``json`` (an object with the
            Markdown as ``text``); by default what the reporter takes.
        tags, builders, schedulers, branches: As of Buildbot's own generators.

    A build whose verdicts are not there within 5 seconds is reported in the mode ``all`` only.
    """

    wanted_event_keys: ClassVar = [("builds", None, "finished")]
    compare_attrs: ClassVar = ["measurements_mode", "format"]

    def __init__(
        self,
        mode: str = "new",
        *,
        format: Optional[str] = None,
        tags: Optional[list[str]] = None,
        builders: Optional[list[str]] = None,
        schedulers: Optional[list[str]] = None,
        branches: Optional[list[str]] = None,
    ) -> None:
        super().__init__("all", tags, builders, schedulers, branches, None, None, False)
        self.measurements_mode = mode
        self.format = format

    def check(self) -> None:
        """Report invalid arguments as configuration errors."""
        super().check()
        if self.measurements_mode not in MODES:
            config_error(f"mode {self.measurements_mode!r}: expected one of {', '.join(MODES)}")
        if self.format not in (None, *FORMATS):
            config_error(f"format {self.format!r}: expected one of {', '.join(FORMATS)}")

    def generate_name(self) -> str:
        """Return a part of the name of a reporter without one."""
        return f"{super().generate_name()}_{self.measurements_mode}"

    @defer.inlineCallbacks
    def generate(
        self, master: Any, reporter: Any, _: Any, build: dict[str, Any]
    ) -> Generator[Any, Any, Optional[dict[str, Any]]]:
        """Return the report of a build; None for silence."""
        yield utils.getDetailsForBuild(master, build, want_properties=True)
        if not self.is_message_needed_by_props(build):
            return None
        digest: Digest = yield digest_of(master, build)
        if not self._tells(digest):
            return None
        users = yield reporter.getResponsibleUsersForBuild(master, build["buildid"])
        return self._report(digest, build, self.format or _format_of(reporter), users)

    def _tells(self, digest: Digest) -> bool:
        if self.measurements_mode == "all":
            return digest.verdicts is None or bool(digest.lines)
        return digest.is_new if self.measurements_mode == "new" else bool(digest.worse)

    def _report(self, digest: Digest, build: Mapping[str, Any], chosen: str, users: list[str]) -> dict[str, Any]:
        body = getattr(digest, "markdown" if chosen == "json" else chosen)
        if chosen != "status":
            link = build["url"]
            body += f'<p><a href="{link}">{link}</a></p>' if chosen == "html" else f"\n{link}\n"
        return {
            "body": {"text": body} if chosen == "json" else body,
            "subject": cut(f"{build['builder']['name']} #{build['number']}: {digest.status}", MAX_STATUS),
            "type": _TYPES.get(chosen, "plain"),
            "results": build["results"],
            "builds": [build],
            "buildset": build["buildset"],
            "users": list(users),
            "patches": [],
            "logs": [],
            "extra_info": {"labels": {}},  # Gerrit's reporter gives no vote, as that on the build has one
        }


def _format_of(reporter: Any) -> str:
    """Return the format of the reporter's class, or of the nearest of its bases."""
    names = (base.__name__ for base in type(reporter).__mro__)
    return next((_FORMATS_OF_REPORTERS[name] for name in names if name in _FORMATS_OF_REPORTERS), "text")
