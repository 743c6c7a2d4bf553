"""Sources of the command line's answers: a journal, or the JSON API of a running master."""

from __future__ import annotations

import argparse
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from bbmeasure.cli import config
from bbmeasure.errors import MeasureError, QueryError, StorageUnavailableError, UnknownSeriesError
from bbmeasure.model import Filters, SeriesFilters, make_query, series_filters
from bbmeasure.reports import serialize
from bbmeasure.reports.alert_answers import alert_answer, alert_query
from bbmeasure.reports.groups import groups_answer, make_groups, of_workers, read_by
from bbmeasure.reports.selection import every_line, select, select_nothing, without_range
from bbmeasure.reports.series_statistics import StatisticsRequest, read_statistics
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.urls import check_url

#: Seconds within which a master must answer.
TIMEOUT = 30.0
#: Bytes of an answer that are read at most.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Source(Protocol):
    """Answers as the JSON API does."""

    def series(self, filters: Optional[SeriesFilters] = None) -> dict[str, Any]:
        """All series, or those with points that match."""
        ...

    def statistics(self, series: str, names: str, filters: Filters) -> dict[str, Any]:
        """Statistics of one series; UnknownSeriesError if there is no such series."""
        ...

    def groups(self, series: str, names: str, filters: Filters, by: str) -> dict[str, Any]:
        """Statistics of one series for each combination of the names in ``by``."""
        ...

    def alerts(self, filters: Mapping[str, str]) -> dict[str, Any]:
        """Alerts, newest first."""
        ...

    def close(self) -> None:
        """Close files."""
        ...


def open_source(options: argparse.Namespace) -> Source:
    """The source that ``--url``, ``--journal`` or ``--master`` names."""
    if options.url is not None:
        return UrlSource(options.url)
    return JournalSource(config.existing_journal(options))


class JournalSource:
    """The file of a journal; its master may run meanwhile."""

    def __init__(self, path: Path) -> None:
        self._reader = JournalReader(path)

    def series(self, filters: Optional[SeriesFilters] = None) -> dict[str, Any]:
        """All series, or those with points that match."""
        return serialize.series_answer(self._reader.series(**(filters or series_filters())))

    def statistics(self, series: str, names: str, filters: Filters) -> dict[str, Any]:
        """Statistics of one series."""
        query = make_query(series, now=time.time(), **filters)
        selection = select(query, self._reader.lines(without_range(query)))
        if selection is None:
            selection = select_nothing(query, self._reader.lines(every_line(query)))
        request = StatisticsRequest(selection, query, read_statistics(names, selection.info.kind))
        return request.answer(self._reader.summarize(request.query, request.statistics))

    def groups(self, series: str, names: str, filters: Filters, by: str) -> dict[str, Any]:
        """Statistics of one series for each combination of the names in ``by``."""
        query = make_query(series, now=time.time(), **filters)
        named = read_by(by)
        lines = self._reader.lines(without_range(query))
        selection = select(query, lines)
        if selection is None:
            selection = select_nothing(query, self._reader.lines(every_line(query)))
        found = make_groups(query, lines, named, read_statistics(names, selection.info.kind)) if lines else []
        if "worker" in named:
            found = of_workers(found, [self._reader.workers(group.request.query) for group in found], named)
        answers = [
            group.answer(self._reader.summarize(group.request.query, group.request.statistics)) for group in found
        ]
        return groups_answer(selection, named, answers)

    def alerts(self, filters: Mapping[str, str]) -> dict[str, Any]:
        """Alerts, newest first."""
        now = time.time()
        found = self._reader.alerts(alert_query(now=now, **filters))
        mutes = self._reader.mutes()
        return {"alerts": [alert_answer(alert, mutes, now) for alert in found]}

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class UrlSource:
    """The JSON API of a running master."""

    def __init__(self, url: str) -> None:
        base = check_url(url, "--url", example="http://localhost:8010/")
        self._base = base + "/plugins/bbmeasure/api/v1/"

    def series(self, filters: Optional[SeriesFilters] = None) -> dict[str, Any]:
        """All series, or those with points that match."""
        given = {name: value for name, value in (filters or {}).items() if value is not None}
        return self._get_with(("series",), "series", given)

    def statistics(self, series: str, names: str, filters: Filters) -> dict[str, Any]:
        """Statistics of one series."""
        expected = ("series", "unit", "count", "statistics")
        return self._get_with(expected, "statistics", _parameters(series, names, filters))

    def groups(self, series: str, names: str, filters: Filters, by: str) -> dict[str, Any]:
        """Statistics of one series for each combination of the names in ``by``."""
        return self._get_with(
            ("series", "unit", "groups"), "statistics", {"by": by, **_parameters(series, names, filters)}
        )

    def alerts(self, filters: Mapping[str, str]) -> dict[str, Any]:
        """Alerts, newest first."""
        return self._get_with(("alerts",), "alerts", filters)

    def close(self) -> None:
        """Do nothing: a request leaves no connection open."""

    def _get_with(self, expected: Sequence[str], path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.get(path, arguments)
        missing = [key for key in expected if key not in answer]
        if missing:
            raise StorageUnavailableError(f"{self._base}{path}: expected {', '.join(missing)} in the answer")
        return answer

    def get(self, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of an API path; a MeasureError with the API's message for an error status."""
        url = f"{self._base}{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 (check_url checks the scheme)
                answer = json.loads(response.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise _error(error.code, error.read(10_000)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise StorageUnavailableError(f"{self._base}: no answer ({error})") from None
        if not isinstance(answer, dict):
            raise StorageUnavailableError(f"{self._base}: expected JSON of the bbmeasure plugin")
        return answer


def _parameters(series: str, names: str, filters: Filters) -> dict[str, Any]:
    """The arguments of ``statistics``."""
    scalars = {name: value for name, value in filters.items() if name != "tags" and value is not None}
    tags = {f"tag.{key}": value for key, value in (filters.get("tags") or {}).items()}
    return {"series": series, **scalars, **tags, **({"statistics": names} if names else {})}


def _error(code: int, body: bytes) -> MeasureError:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {code}; is the bbmeasure plugin in the master's www plugins?"
    kinds: dict[int, type[MeasureError]] = {400: QueryError, 404: UnknownSeriesError}
    return kinds.get(code, StorageUnavailableError)(message)
