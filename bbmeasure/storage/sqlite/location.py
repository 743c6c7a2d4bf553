"""Where the journal of a master is: a file in the master's folder, or the one that a note there names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from twisted.logger import Logger

from bbmeasure.errors import StorageError, StorageUnavailableError

log = Logger()

#: The journal's file in a master's folder.
JOURNAL = "bbmeasure.sqlite"
#: The file in a master's folder that says where its journal is, where that is not the one by default.
LOCATION_FILE = "bbmeasure.journal"


def recorded_journal(folder: Path) -> Optional[Path]:
    """The journal that the master of that folder had last, where it left a note of one; see :data:`LOCATION_FILE`."""
    try:
        said = (folder / LOCATION_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise StorageUnavailableError(f"{folder / LOCATION_FILE}: {error}") from None
    return folder / said if said else None


def record_journal(folder: Path, path: Path) -> None:
    """Leave in the master's folder where its journal is, for the commands; nothing for the one by default."""
    place, by_default = folder / LOCATION_FILE, folder / JOURNAL
    try:
        before = recorded_journal(folder) or by_default
        if os.path.abspath(before) == str(path):
            return
        if os.path.abspath(by_default) == str(path):
            place.unlink()
        else:
            made = folder / f"{LOCATION_FILE}.new"
            made.write_text(f"{os.path.relpath(path, folder) if folder in path.parents else path}\n", encoding="utf-8")
            made.replace(place)
    except (OSError, UnicodeError, StorageError) as error:
        log.warn("bbmeasure: {place} was not written, so commands need --journal: {why}", place=place, why=error)
        return
    if before.exists():
        log.info(
            "bbmeasure: the journal is {path} from now on, and no longer {before}; whether anything waits there for a "
            "server is told by: bbmeasure health --journal {before}",
            path=path,
            before=before,
        )
