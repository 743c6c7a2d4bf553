"""The location of a master's journal: the default file, or the one recorded in the master's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from twisted.logger import Logger

from bbmeasure.errors import StorageError, StorageUnavailableError

log = Logger()

#: The default file of the journal, in the master's folder.
JOURNAL = "bbmeasure.sqlite"
#: The file in the master's folder that records the path of a journal elsewhere.
LOCATION_FILE = "bbmeasure.journal"


def recorded_journal(folder: Path) -> Optional[Path]:
    """The path of the journal that the master in ``folder`` used last; None when none is recorded."""
    try:
        recorded = (folder / LOCATION_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise StorageUnavailableError(f"{folder / LOCATION_FILE}: {error}") from None
    return folder / recorded if recorded else None


def record_journal(folder: Path, path: Path) -> None:
    """Record the path of the journal in the master's folder, for the commands; remove the record of the default."""
    record, default = folder / LOCATION_FILE, folder / JOURNAL
    try:
        previous = recorded_journal(folder) or default
        if os.path.abspath(previous) == str(path):
            return
        if os.path.abspath(default) == str(path):
            record.unlink()
        else:
            new = folder / f"{LOCATION_FILE}.new"
            new.write_text(f"{os.path.relpath(path, folder) if folder in path.parents else path}\n", encoding="utf-8")
            new.replace(record)
    except (OSError, UnicodeError, StorageError) as error:
        log.warn(
            "bbmeasure: {record} could not be written, so commands need --journal: {error}", record=record, error=error
        )
        return
    if previous.exists():
        log.info(
            "bbmeasure: the journal is {path} from now on, no longer {previous}; points still pending there are shown "
            "by: bbmeasure health --journal {previous}",
            path=path,
            previous=previous,
        )
