"""GitHubMeasurementsComment and GitLabMeasurementsComment: comments on proposals, as services of ``c["services"]``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from twisted.internet import defer

from bbmeasure.capture.plan import check_flag
from bbmeasure.errors import MeasureError, QueryError
from bbmeasure.master.reporters.comments import Commenter
from bbmeasure.master.reporters.generator import MODES
from bbmeasure.master.reporters.services import GitHub, GitLab
from bbmeasure.master.services.base import MeasureInstance
from bbmeasure.storage.influxdb.client import tls_policy
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.urls import check_url

_UNRENDERED = "a secret"


@dataclass(frozen=True)
class CommentArguments:
    """Arguments of both services; raises MeasureError unless all are valid.

    Args:
        token: Token of the user or app that writes the comments; may be a secret.
        baseURL: URL of the service's API, by default that of the public service.
        mode: ``new`` and ``worse`` create a comment where something is worse, ``all`` on each proposal with
            measurements.  An existing comment is edited in each mode.
        builders: Names of the builders whose measurements are in the comments, by default all; whoever may see a
            proposal sees its comments.
        verifyTLS: Whether the server's certificate is verified.
        caFile: PEM file of certificates that are trusted instead of the system's.
        timeout: Seconds until a request fails.
    """

    token: Optional[str] = None
    baseURL: Optional[str] = None
    mode: str = "new"
    builders: Optional[Sequence[str]] = None
    verifyTLS: bool = True
    caFile: Optional[str] = None
    timeout: float = 10

    def __post_init__(self) -> None:
        if not isinstance(self.token, str) or not self.token.strip() or not self.token.isprintable():
            raise QueryError("token: expected a token, such as util.Secret('token-of-ci')")
        if self.mode not in MODES:
            raise QueryError(f"mode {self.mode!r}: expected one of {', '.join(MODES)}")
        names = self.builders
        if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
            raise QueryError(f"builders {names!r}: expected a list of names")
        check_flag("verifyTLS", self.verifyTLS)
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, (int, float)) or not 0 < self.timeout <= 60:
            raise QueryError(f"timeout {self.timeout!r}: expected a number of seconds up to 60")

    def server(self, default_url: str) -> Server:
        """Return the server with its token."""
        url = default_url if self.baseURL is None else check_url(self.baseURL, "baseURL", example=default_url)
        return Server(
            url,
            "",
            token=self.token,
            verify_tls=self.verifyTLS,
            ca_file=self.caFile,
            timeout=float(self.timeout),
        )


class MeasurementsComment(MeasureInstance):
    """Base of the services that write one comment on each proposal and edit it after each of its builds.

    The keyword arguments are those of CommentArguments.  The verdicts come from the journal that another service of
    bbmeasure keeps.
    """

    secrets = ("token",)
    arguments_class = CommentArguments
    default_url: ClassVar[str]
    service_class: ClassVar[Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._arguments: Optional[CommentArguments] = None
        self._commenter: Optional[Commenter] = None

    def checkConfig(self, **given: Any) -> None:
        """Report invalid arguments as configuration errors; the token is not rendered yet."""
        token = given.get("token")
        try:
            arguments = CommentArguments(**{**given, "token": _UNRENDERED if IRenderable.providedBy(token) else token})
            tls_policy(arguments.server(self.default_url))  # reads caFile
        except (MeasureError, TypeError) as error:
            config_error(f"{self.name}: {error}")

    def reconfigService(self, **given: Any) -> Any:
        """Write comments by the arguments; unchanged ones keep what waits."""
        arguments = CommentArguments(**given)
        if arguments == self._arguments:
            return
        self._stop_commenter()
        server = arguments.server(self.default_url)
        service = self.service_class(self.master.reactor, server, arguments.token)
        self._arguments = arguments
        self._commenter = Commenter(self.state, service, self.name, arguments.mode, arguments.builders)
        self.state.exporters[self.name] = self._commenter

    def _stop_commenter(self) -> None:
        commenter, self._commenter, self._arguments = self._commenter, None, None
        if commenter is not None:
            self.state.exporters.pop(self.name, None)
            commenter.stop()

    @defer.inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Stop at once, without waiting for the service."""
        self._stop_commenter()
        yield super().stopService()


class GitHubMeasurementsComment(MeasurementsComment):
    """Comments on pull requests of GitHub; of GitHub Enterprise with ``baseURL="https://HOST/api/v3"``.

    The token needs to write comments on pull requests: the permission "Pull requests: write" of a fine-grained token or
    an app, or the scope ``repo`` (``public_repo`` for public projects) of a classic token.
    """

    default_url = "https://api.github.com"
    service_class = GitHub


class GitLabMeasurementsComment(MeasurementsComment):
    """Comments on merge requests of GitLab; of a self-managed one with ``baseURL="https://HOST"``.

    The token needs the scope ``api`` and the role Reporter in the project.
    """

    default_url = "https://gitlab.com"
    service_class = GitLab
