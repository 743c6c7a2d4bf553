"""Where the command line's answers come from: the journal in a master's folder, or a running master's JSON API."""

from __future__ import annotations

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
from bbmeasure.errors import MeasureError, QueryError, StorageUnavailableError, UnknownSeriesError
from bbmeasure.model import SeriesInfo, make_query
from bbmeasure.reports import serialize
from bbmeasure.storage.sqlite.journal import JournalReader, open_reader
from bbmeasure.units import excerpt

#: Seconds that a master may take to answer.
PATIENCE = 30.0
#: The largest answer that is read, in bytes.
LARGEST_ANSWER = 64 * 1024 * 1024


class Source(Protocol):
    """Gives what the JSON API answers, wherever it comes from."""

    def series(self) -> dict[str, Any]:
        """All series."""
        ...

    def statistics(self, series: str, names: Sequence[str], where: Mapping[str, Any]) -> dict[str, Any]:
        """Statistics of one series; UnknownSeriesError where there is none."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class JournalSource:
    """Reads the journal's file itself, beside a running master or without one."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StorageUnavailableError(f"{path}: expected a journal there; is it the folder of a measured master?")
        self._reader: JournalReader = open_reader(path)

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
        """Let go of the file."""
        self._reader.close()


class UrlSource:
    """Asks a running master's JSON API."""

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
        """Nothing is open between two questions."""

    def _get_with(self, expected: Sequence[str], path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = self.get(path, arguments)
        missing = [key for key in expected if key not in found]
        if missing:
            raise StorageUnavailableError(f"{self._base}{path}: expected {', '.join(missing)} in the answer")
        return found

    def get(self, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the API says; a MeasureError with its message where it refuses."""
        address = f"{self._base}{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:  # noqa: S310 (scheme checked above)
                found = json.loads(answer.read(LARGEST_ANSWER))
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
