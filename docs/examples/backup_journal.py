"""Copy a journal while the master runs: backup_journal.py bbmeasure.sqlite copy.sqlite."""

import sqlite3
import sys
from contextlib import closing

source, target = sys.argv[1:]
with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as journal, closing(sqlite3.connect(target)) as copy:
    journal.backup(copy)
