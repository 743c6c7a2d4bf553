"""The progress of a migration, in the log and in counters."""

from __future__ import annotations

from twisted.logger import Logger

from bbmeasure.storage.sqlite import schema

log = Logger()


class MigrationProgress:
    """Logs each tenth of a migration, and keeps the number of copied points."""

    def __init__(self, path: schema.Path) -> None:
        self._path = path
        self._tenth = -1
        self.counters: dict[str, int] = {}

    def report(self, done: int, total: int) -> None:
        """Called in the writer's thread."""
        self.counters = {"migrated": done, "to_migrate": total}
        tenth = 10 * done // total if total else 10
        if tenth != self._tenth:
            self._tenth = tenth
            log.info(
                "bbmeasure: journal {path} is migrated: {percent} % of {total} points",
                path=self._path,
                percent=10 * tenth,
                total=total,
            )
