"""What is tracked without naming each of it: the switches of instances, and of a builder that tracks all."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Switches:
    """What is tracked without naming it; ``properties`` are patterns such as ``pylint-*``."""

    build_times: bool = False
    step_times: bool = False
    statistics: bool = False
    properties: tuple[str, ...] = ()
    master_metrics: bool = False

    def __or__(self, other: Switches) -> Switches:
        return Switches(
            self.build_times or other.build_times,
            self.step_times or other.step_times,
            self.statistics or other.statistics,
            tuple(dict.fromkeys(self.properties + other.properties)),
            self.master_metrics or other.master_metrics,
        )

    def wants_property(self, name: str) -> bool:
        """Whether one of the patterns matches."""
        return any(fnmatchcase(name, pattern) for pattern in self.properties)

    @property
    def of_builds(self) -> bool:
        """Whether anything of a build is wanted."""
        return self.build_times or self.step_times or self.statistics or bool(self.properties)
