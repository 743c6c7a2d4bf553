"""MeasurementPolicy: what builds are compared with and judged by, for all builders of a master."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from buildbot.config.errors import error as config_error
from twisted.internet import defer

from bbmeasure.capture.branches import BranchPolicy
from bbmeasure.capture.gates import AFTER_BUILD, Gate, Level, Patterns, read_patterns
from bbmeasure.capture.plan import check_names
from bbmeasure.errors import MeasureError, QueryError, RecordError
from bbmeasure.master.services.base import MeasureInstance
from bbmeasure.records import check_text


class MeasurementPolicy(MeasureInstance):
    """The branches, machine classes and gates of a master's builds; ``c["services"]`` holds one at most.

    ``machineClass`` is the name of a worker property whose value is the machine class of the worker; by default each
    worker is a class of its own.  ``defaultBranch`` is the branch of a build without one.  ``trustedBranches`` are
    names and patterns such as ``"release/*"``: a build of another branch counts as a proposal to the default branch.
    None trusts every branch.  ``gates`` maps names and patterns of series to the ``util.Gate`` of those for which no
    step and no track call gives one; the first that matches applies.  The policy applies to builds that start after a
    reconfig.
    """

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("name") not in (None, "MeasurementPolicy"):
            config_error("MeasurementPolicy: a master has one policy, which takes no name=")
        super().__init__(**kwargs)

    def checkConfig(self, **given: Any) -> None:
        """Check the arguments, those of :meth:`reconfigService`; a configuration error names the expected value."""
        try:
            check_names(given, ("machineClass", "defaultBranch", "trustedBranches", "gates"))
            read_policy(**given)
        except MeasureError as error:
            config_error(f"{self.name}: {error}")

    def reconfigService(self, **given: Any) -> Any:
        """Apply the arguments to builds that start from now on."""
        self._apply(**given)

    @defer.inlineCallbacks
    def stopService(self) -> Any:
        """Restore the defaults: no instance is left that configures anything else."""
        self._apply()
        yield super().stopService()

    def _apply(self, **given: Any) -> None:
        policy = read_policy(**given)
        branches = self.pipeline.branches
        branches.policy, branches.machine_property = policy.branches, policy.machine_property
        self.state.gates.patterns = policy.gates


class Policy(NamedTuple):
    """The arguments of a policy; ``machine_property`` is the name of the worker property of machine classes."""

    branches: BranchPolicy = BranchPolicy()
    machine_property: Optional[str] = None
    gates: Patterns = ()


def read_policy(
    *,
    machineClass: Optional[str] = None,
    defaultBranch: str = "main",
    trustedBranches: Optional[Sequence[str]] = None,
    gates: Optional[Mapping[str, Gate]] = None,
) -> Policy:
    """The policy in the arguments; a MeasureError names what was expected."""
    if machineClass is not None:
        check_text("machineClass", machineClass, 200)
    check_text("defaultBranch", defaultBranch, 200)
    patterns = read_patterns(gates)
    _check_levels(patterns)
    if trustedBranches is None:
        return Policy(BranchPolicy(defaultBranch), machineClass, patterns)
    is_list = isinstance(trustedBranches, (list, tuple))
    if not is_list or not all(isinstance(one, str) and one for one in trustedBranches):
        raise RecordError(f"trustedBranches {trustedBranches!r}: expected a list of names such as 'release/*'")
    return Policy(BranchPolicy(defaultBranch, tuple(trustedBranches)), machineClass, patterns)


def _check_levels(patterns: Patterns) -> None:
    """QueryError for a level of a series whose value is known only after the build, which it cannot colour."""
    for pattern, gate in patterns:
        if pattern in AFTER_BUILD and gate.level is not Level.INFO:
            raise QueryError(
                f"gates[{pattern!r}]: level {str(gate.level)!r}: expected 'info', its value is known after the build"
            )
