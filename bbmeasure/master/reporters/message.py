"""MeasurementsMixin: the verdicts of a build in the context of any message formatter."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from twisted.internet import defer

from bbmeasure.capture.state import state_of
from bbmeasure.master.reporters.digest import Digest
from bbmeasure.master.reporters.waiting import wait_for_verdicts


@defer.inlineCallbacks
def digest_of(master: Any, build: Mapping[str, Any]) -> Generator[Any, Any, Digest]:
    """Return the Digest of a build of the Data API, waiting at most 5 seconds for its verdicts."""
    state = state_of(master)
    branch, _ = state.pipeline.branches.of_reported(build)
    verdicts = None
    if build.get("complete_at") is not None:
        verdicts = yield wait_for_verdicts(state, build["buildid"])
    return Digest(verdicts, build["number"], branch.is_proposal)


class MeasurementsMixin:
    """Mixin for a message formatter of Buildbot: adds ``measurements`` to the context of its templates.

    ``measurements`` is a :class:`~bbmeasure.master.reporters.digest.Digest`.  For a message about several builds it is
    that of the first, and ``measurements_by_build`` has each under its buildid.

    ::

        class Formatter(MeasurementsMixin, reporters.MessageFormatter):
            pass

        Formatter(template="{{ summary }} {{ measurements.text }}")
    """

    @defer.inlineCallbacks
    def buildAdditionalContext(self, master: Any, ctx: dict[str, Any]) -> Generator[Any, Any, None]:
        """Add the verdicts; Buildbot calls it before a template is rendered."""
        yield super().buildAdditionalContext(master, ctx)  # type: ignore[misc]  # of the class it is mixed into
        builds = [ctx["build"]] if "build" in ctx else list(ctx.get("builds") or ())
        digests = yield defer.gatherResults([digest_of(master, build) for build in builds])
        ctx["measurements_by_build"] = {build["buildid"]: digest for build, digest in zip(builds, digests)}
        ctx["measurements"] = digests[0] if digests else Digest(None)
