"""Copy a journal while the master runs: backup_journal.py bbmeasure.sqlite copy.sqlite."""

import sys

from bbmeasure.storage.sqlite.backup import backup

backup(*sys.argv[1:])
