"""Decisions on alerts beside a running master, for ``accept`` and ``ignore``."""

from __future__ import annotations

import argparse
import getpass
import json

from bbmeasure.cli import arguments, config
from bbmeasure.errors import QueryError, UnknownSeriesError
from bbmeasure.reports.alert_answers import check_decision
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.verdict_store import OPEN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a decision."""
    parser.add_argument("alert", metavar="ALERT", type=int, help="its number, which bbmeasure alerts prints")
    parser.add_argument("--why", required=True, metavar="TEXT", help="the reason, which is kept with the alert")
    parser.add_argument("--json", action="store_true", help="print the alert's number and state as JSON")
    arguments.add_journal(parser)


def decide(options: argparse.Namespace, state: str) -> int:
    """Decide an alert in the journal; UnknownSeriesError for an unknown one, QueryError for one that is not open."""
    state, why = check_decision(state, options.why)
    path = config.existing_journal(options)
    with JournalReader(path) as reader:
        alert = reader.alert(options.alert)
    if alert is None:
        raise UnknownSeriesError(f"alert {options.alert}: no such alert")
    with Journal(path) as journal:
        if not journal.decide(alert.id, state, user(), why):
            raise QueryError(f"alert {alert.id}: {alert.state}, expected an {OPEN} one")
    if options.json:
        print(json.dumps({"id": alert.id, "state": state}))
    else:
        print(f"alert {alert.id} is {state}; it holds for the next build")
    return 0


def user() -> str:
    """The name of the user who runs the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return "unknown"
