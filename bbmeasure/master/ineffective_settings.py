"""Settings in a master.cfg that Buildbot accepts and that never have an effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from bbmeasure import units
from bbmeasure.master.services.grafana import GrafanaInstance
from bbmeasure.master.tracking.builder import MeasuredBuilderConfig
from bbmeasure.units import excerpt

#: The most names of an expectation that a message lists.
MAX_NAMES = 10


def ineffective_settings(config: Any) -> Iterator[str]:
    """A message, with what to do, for each setting of Buildbot's configuration that has no effect."""
    if "bbmeasure" in config.www.get("plugins", {}):
        yield from _page()
    builders = sorted(builder.name for builder in config.builders)
    for service in config.services.values():
        if isinstance(service, GrafanaInstance):
            yield from _dashboards(service, builders)
    for builder in config.builders:
        yield from _units(builder)


def _page() -> Iterator[str]:
    from bbmeasure.master.www.plugin import ep  # loads Buildbot's www

    if not ep.is_built:
        yield (
            "page: it was not built when bbmeasure was installed, only its JSON API is there; with npm on the machine, "
            "install bbmeasure again, or run `make www` in its checkout"
        )


def _dashboards(service: Any, builders: list[str]) -> Iterator[str]:
    dashboards = service._config_kwargs.get("dashboards") or {}
    shown = ", ".join(builders[:MAX_NAMES]) + (", ..." if len(builders) > MAX_NAMES else "")
    for name in sorted(set(dashboards) - set(builders)):
        yield f"{service.name}: dashboards[{excerpt(name)}]: no builder has that name; expected one of {shown}"


def _units(builder: Any) -> Iterator[str]:
    """Units in a step's arguments and in trackCustomStep that no value of the step has."""
    for step in _measuring_steps(builder):
        given = {f"step {step.name!r}": step.given_unit}
        if isinstance(builder, MeasuredBuilderConfig):
            overrides = builder.measurePlan.custom_of(step.name)
            given[f"trackCustomStep({step.name!r})"] = None if overrides is None else overrides.unit
        for where, unit in given.items():
            if unit is not None and step.measured_unit is not None and units.find(unit).base != step.measured_unit:
                yield (
                    f"builder {builder.name}: {where}: unit {unit!r}: every value is refused, as the step measures "
                    f"in {step.measured_unit}; remove unit="
                )
            elif unit is not None and step.measured_unit is None:
                yield (
                    f"builder {builder.name}: {where}: unit {unit!r}: no value has it, as the values of the step's "
                    "parser have units of their own; remove unit="
                )


def _measuring_steps(builder: Any) -> Iterator[Any]:
    """The steps that always measure in one unit, or whose parser has a unit for each of its series."""
    factory: Optional[Any] = builder.factory
    for step_factory in factory.steps if factory is not None else ():
        step = step_factory.buildStep() if hasattr(step_factory, "buildStep") else step_factory
        is_measuring = getattr(step, "measured_unit", None) is not None or getattr(step, "has_own_units", False)
        if is_measuring and isinstance(step.name, str):
            yield step
