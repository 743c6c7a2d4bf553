"""Runs ``buildbot`` 0.8.14 with an SQLite of today.

Its migrations rename tables, after which an SQLite since 3.25 changes references that they rely on: without
``legacy_alter_table`` create-master makes half a schema and exits with 0.
"""

import sqlite3
import sys

connect = sqlite3.dbapi2.connect


def connect_legacy(*args, **kwargs):
    connection = connect(*args, **kwargs)
    connection.execute("PRAGMA legacy_alter_table=ON")
    return connection


sqlite3.connect = sqlite3.dbapi2.connect = connect_legacy

if __name__ == "__main__":
    from buildbot.scripts.runner import run

    sys.argv[0] = "buildbot"
    run()
