"""The changes that the writer's thread makes: points, totals, declarations and others, and their Deferreds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from twisted.internet import defer

from bbmeasure.errors import SeriesConflictError
from bbmeasure.model import Point
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.spool_file import Declaration, Unwritten

#: The number of points committed together, whose Deferreds fire in one iteration of the reactor.
POINTS_PER_COMMIT = 1_000


class Write:
    """Points and running totals to write; ``deferred`` fires in the reactor when they are on disk.

    Many thousands may be pending: it has slots, so that the garbage collector does not block the reactor for long.
    """

    __slots__ = ("deferred", "points", "state")

    def __init__(self, points: Sequence[Point], state: Mapping[str, float]) -> None:
        self.points = points
        self.state = state
        self.deferred: defer.Deferred[None] = defer.Deferred()


@dataclass(frozen=True)
class Change:
    """Another change; ``deferred`` fires in the reactor with the result of ``run``.

    ``run`` may return a generator.  Each of its steps is then a transaction of its own, with other changes between
    them, and its return value is the result.
    """

    run: Callable[[Ingest], Any]
    deferred: defer.Deferred[Any] = field(default_factory=defer.Deferred)
    points: Sequence[Point] = ()
    declaration: Optional[Declaration] = None


Item = Union[Write, Change]
#: Deferreds with the result or exception to fire them with.
Results = list[tuple[Any, Any]]


def fire(results: Results) -> None:
    """Fire the Deferreds that have not fired yet; in the reactor."""
    for deferred, result in results:
        if deferred.called:
            continue  # cancelled, or abandoned when the store was closed
        if isinstance(result, Exception):
            deferred.errback(result)
        else:
            deferred.callback(result)


def declaring(declaration: Declaration) -> Change:
    """The change that declares a series."""
    info, override, override_unit, proposed = declaration
    return Change(
        lambda ingest: ingest.declare(info, override=override, override_unit=override_unit, proposed=proposed),
        declaration=declaration,
    )


def declarations(items: Sequence[Item]) -> Results:
    """The Deferreds of the declarations among changes, each with what was declared."""
    return [
        (item.deferred, item.declaration.info)
        for item in items
        if isinstance(item, Change) and item.declaration is not None
    ]


def unwritten(items: Sequence[Item]) -> tuple[Unwritten, list[Item]]:
    """The points, totals and declarations of changes, and the changes that consist of them."""
    rest, kept = Unwritten(), list[Item]()
    for item in items:
        if isinstance(item, Write):
            rest.points.extend(item.points)
            rest.state.update(item.state)
        elif item.declaration is not None:
            rest.declarations.append(item.declaration)
        else:
            continue
        kept.append(item)
    return rest, kept


def rewriting(rest: Unwritten) -> list[Item]:
    """The changes that write what an earlier stop left; the last one changes nothing."""
    items: list[Item] = [declaring(declaration) for declaration in rest.declarations]
    for at in range(0, len(rest.points), POINTS_PER_COMMIT):
        items.append(Write(rest.points[at : at + POINTS_PER_COMMIT], {}))
    return [*items, Write((), rest.state), Change(lambda _: None)]


def apply_all(ingest: Ingest, items: Sequence[Item]) -> Results:
    """Make all changes in their order, consecutive writes as one."""
    results: Results = []
    points: list[Point] = []
    state: dict[str, float] = {}
    for item in items:
        if isinstance(item, Write):
            points.extend(item.points)
            state.update(item.state)
            results.append((item.deferred, None))
            continue
        if points or state:
            ingest.write(points, state)
            points, state = [], {}
        try:
            results.append((item.deferred, item.run(ingest)))
        except SeriesConflictError as error:
            results.append((item.deferred, error))
    if points or state:
        ingest.write(points, state)
    return results
