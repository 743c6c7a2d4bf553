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
from typing import Any, Protocol

from bbmeasure import statistics
from bbmeasure.cli import config
from bbmeasure.errors import MeasureError, QueryError, StorageUnavailableError, UnknownSeriesError
from bbmeasure.model import SeriesInfo, make_query
from bbmeasure.reports import serialize
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.units import excerpt

#: Seconds within which a master must answer.
TIMEOUT = 30.0
#: Bytes of an answer that are read at most.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Source(Protocol):
    """Answers as the JSON API does."""

    def series(self) -> dict[str, Any]:
        """All series."""
        ...

    def statistics(self, series: str, names: Sequence[str], where: Mapping[str, Any]) -> dict[str, Any]:
        """Statistics of one series; UnknownSeriesError if there is no such series."""
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
        self._reader: JournalReader = JournalReader(path)

    def series(self) -> dict[str, Any]:
        """All series."""
        return serialize.series_answer(self._reader.series())

    def info(self, series: str) -> SeriesInfo:
        """What the series is."""
        for info in self._reader.series():
            if info.name == series:
                return info
        raise UnknownSeriesError(f"series {excerpt(series)}: no such series in the journal")

    def statistics(self, series: str, names: Sequence[str], where: Mapping[str, Any]) -> dict[str, Any]:
        """Statistics of one series."""
        info = self.info(series)
        wanted = statistics.find_all(names) if names else serialize.read_statistics(None, info.kind)
        query = make_query(series, now=time.time(), **where)
        counted = (*wanted, statistics.find("count"))
        found = self._reader.summarize(query, counted)
        shown = {statistic.name: found[statistic.name] for statistic in wanted}
        return serialize.statistics_answer(info, where.get("builder"), int(found["count"] or 0), shown)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class UrlSource:
    """The JSON API of a running master."""

    def __init__(self, url: str) -> None:
        wanted = f"--url {excerpt(url)}: expected the address of a master's page, http:// or https://"
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise QueryError(f"{wanted} ({error})") from None
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise QueryError(wanted)
        self._base = url.rstrip("/") + "/plugins/bbmeasure/api/v1/"

    def series(self) -> dict[str, Any]:
        """All series."""
        return self._get_with(("series",), "series", {})

    def statistics(self, series: str, names: Sequence[str], where: Mapping[str, Any]) -> dict[str, Any]:
        """Statistics of one series."""
        arguments = {key: value for key, value in where.items() if value is not None and key != "tags"}
        tags = {f"tag.{key}": value for key, value in (where.get("tags") or {}).items()}
        named = {"statistics": ",".join(names)} if names else {}
        expected = ("series", "unit", "count", "statistics")
        return self._get_with(expected, "statistics", {"series": series, **arguments, **tags, **named})

    def close(self) -> None:
        """Do nothing: no connection stays open between two requests."""

    def _get_with(self, expected: Sequence[str], path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = self.get(path, arguments)
        missing = [key for key in expected if key not in found]
        if missing:
            raise StorageUnavailableError(f"{self._base}{path}: expected {', '.join(missing)} in the answer")
        return found

    def get(self, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of an API path; a MeasureError with the API's message for an error status."""
        address = f"{self._base}{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:  # noqa: S310 (scheme checked above)
                found = json.loads(answer.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise _refusal(error.code, error.read(10_000)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise StorageUnavailableError(f"{self._base}: no answer ({error})") from None
        if not isinstance(found, dict):
            raise StorageUnavailableError(f"{self._base}: expected JSON of the bbmeasure plugin")
        return found


def _refusal(code: int, body: bytes) -> MeasureError:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {code}; is the bbmeasure plugin in the master's www plugins?"
    kinds: dict[int, type[MeasureError]] = {400: QueryError, 404: UnknownSeriesError}
    return kinds.get(code, StorageUnavailableError)(message)
