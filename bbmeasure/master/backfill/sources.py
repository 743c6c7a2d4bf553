"""Reading the source stamps of past builds, with the changes of these, from a master's database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bbmeasure.capture.branches import ChangeFacts, SourceFacts
from bbmeasure.master.backfill.database import Run

#: The tables that are read here.
TABLES = ("buildset_sourcestamps", "sourcestamps", "changes", "change_properties")
#: The most ids in one statement.
MAX_IDS = 500


def read_sources(run: Run, tables: Mapping[str, Any], buildsetids: Sequence[int]) -> dict[int, list[SourceFacts]]:
    """The source stamps of build sets, by the ids of these."""
    links, stamps = tables["buildset_sourcestamps"], tables["sourcestamps"]
    query = (
        sa.select(links.c.buildsetid, stamps.c.id, stamps.c.branch, stamps.c.codebase, stamps.c.patchid)
        .select_from(links.join(stamps, links.c.sourcestampid == stamps.c.id))
        .where(links.c.buildsetid.in_(buildsetids))
        .order_by(links.c.buildsetid, stamps.c.id)
    )
    rows = run(query)
    changes = _changes(run, tables, sorted({row.id for row in rows}))
    sources: dict[int, list[SourceFacts]] = {}
    for row in rows:
        facts = SourceFacts(row.branch, row.codebase or "", row.patchid is not None, tuple(changes.get(row.id, ())))
        sources.setdefault(row.buildsetid, []).append(facts)
    return sources


def _changes(run: Run, tables: Mapping[str, Any], stampids: Sequence[int]) -> dict[int, list[ChangeFacts]]:
    """The changes of source stamps, in the order in which they came, by the ids of these."""
    table = tables["changes"]
    query = sa.select(
        table.c.changeid, table.c.sourcestampid, table.c.branch, table.c.category, table.c.revlink
    ).order_by(table.c.changeid)
    rows = [row for some in _batches(stampids) for row in run(query.where(table.c.sourcestampid.in_(some)))]
    properties = _properties(run, tables, [row.changeid for row in rows])
    changes: dict[int, list[ChangeFacts]] = {}
    for row in rows:
        facts = ChangeFacts(row.branch, row.category, row.revlink, properties.get(row.changeid, {}))
        changes.setdefault(row.sourcestampid, []).append(facts)
    return changes


def _properties(run: Run, tables: Mapping[str, Any], changeids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The properties of changes by name, without their source; one that is not JSON is left out."""
    table = tables["change_properties"]
    query = sa.select(table.c.changeid, table.c.property_name, table.c.property_value)
    properties: dict[int, dict[str, Any]] = {}
    for some in _batches(changeids):
        for row in run(query.where(table.c.changeid.in_(some))):
            try:
                value, _ = json.loads(row.property_value)
            except (ValueError, TypeError, RecursionError):
                continue
            properties.setdefault(row.changeid, {})[row.property_name] = value
    return properties


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Few enough ids for one statement."""
    return (ids[at : at + MAX_IDS] for at in range(0, len(ids), MAX_IDS))
