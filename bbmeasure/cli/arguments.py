"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional

from bbmeasure.errors import QueryError
from bbmeasure.model import EVERY_PROPOSAL, Filters
from bbmeasure.units import excerpt


def add_journal(parser: argparse.ArgumentParser) -> None:
    """Add ``--master`` and ``--journal``."""
    parser.add_argument("--master", metavar="DIR", type=Path, help="the master's folder")
    parser.add_argument("--journal", metavar="FILE", type=Path, help="its journal, if that has another name or place")


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add ``--master``, ``--journal``, ``--url`` and ``--json``."""
    add_journal(parser)
    parser.add_argument("--url", metavar="MASTER_URL", help="query a running master (needs its www plugin bbmeasure)")
    parser.add_argument("--json", action="store_true", help="print what the JSON API answers")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select points of a series."""
    parser.add_argument("--builder", metavar="NAME")
    parser.add_argument("--worker", metavar="NAME")
    add_branch(parser)
    parser.add_argument("--kind", help="which kind, where builders give the series several")
    parser.add_argument("--unit", help="which unit, where builders give the series several")
    parser.add_argument("--since", metavar="TIME", help="ISO 8601, unix seconds, or an age such as 7d")
    parser.add_argument("--until", metavar="TIME", help="the end of the range, which does not include it")
    parser.add_argument("--tag", metavar="K=V", action="append", default=[], help="may be given several times")


def add_branch(parser: argparse.ArgumentParser) -> None:
    """Add ``--branch``, ``--proposal`` and ``--proposals``."""
    parser.add_argument("--branch", metavar="NAME", help="only builds judged on it; without it all trusted branches")
    proposals = parser.add_mutually_exclusive_group()
    proposals.add_argument("--proposal", metavar="NAME", help="only builds of this proposal, such as refs/pull/12")
    proposals.add_argument("--proposals", action="store_true", help="builds of proposals too")


def read_proposal(options: argparse.Namespace) -> Optional[str]:
    """The proposals that a command with :func:`add_branch` selects."""
    return EVERY_PROPOSAL if options.proposals else options.proposal


def read_filters(options: argparse.Namespace) -> Filters:
    """The filters of a command that calls :func:`add_filters`."""
    return {
        "builder": options.builder,
        "worker": options.worker,
        "branch": options.branch,
        "proposal": read_proposal(options),
        "kind": options.kind,
        "unit": options.unit,
        "since": options.since,
        "until": options.until,
        "tags": dict(_read_tag(tag) for tag in options.tag),
    }


def _read_tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise QueryError(f"--tag {excerpt(text)}: expected KEY=VALUE")
    return key, value
