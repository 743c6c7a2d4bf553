"""Spool: the points that an InfluxDB has yet to receive, in an SQLite file of the master's directory.

A point is accepted when its transaction is on disk; it stays until the server has confirmed it.  The running totals and
the declarations of series are in the same file, written in the same transaction as the points.
"""

from __future__ import unicode_literals

import os
import sqlite3
from collections import namedtuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, time INTEGER NOT NULL, fields TEXT NOT NULL,
  UNIQUE (key, time));
CREATE TABLE IF NOT EXISTS totals (key TEXT PRIMARY KEY, value REAL NOT NULL);
CREATE TABLE IF NOT EXISTS series (
  name TEXT NOT NULL, builder TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL, better TEXT NOT NULL,
  sent INTEGER NOT NULL, PRIMARY KEY (name, builder));
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY, line TEXT NOT NULL, why TEXT NOT NULL);
"""
#: Bytes that a point takes in the file beside its text, roughly.
OVERHEAD = 40
#: The most refused lines that are kept.
MOST_REFUSED = 1000

_SIZE = "SELECT count(*), coalesce(sum(length(key) + length(fields) + %d), 0) FROM points" % OVERHEAD

#: One write: points as (key, fields, time), totals by key, declarations as (name, builder, kind, unit, better).
Write = namedtuple(str("Write"), str("points totals series"))
#: A line that waits: its row, its text without a newline.
Waiting = namedtuple(str("Waiting"), str("id line"))


class Spool(object):
    """The file, for blocking code; one thread uses an instance.

    ``max_bytes`` limits the text of the waiting points.  A full spool refuses new points, so that no accepted one is
    lost.
    """

    def __init__(self, path, max_bytes):
        self.path = path
        self.max_bytes = max_bytes
        self._connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        os.chmod(path, 0o600)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)
        self.count, self.bytes = self._connection.execute(_SIZE).fetchone()

    def close(self):
        """Close the file."""
        self._connection.close()

    def totals(self):
        """All running totals by key."""
        return dict(self._connection.execute("SELECT key, value FROM totals"))

    def declarations(self):
        """Kind, unit and direction of each series by its name and builder, which is empty outside builds."""
        rows = self._connection.execute("SELECT name, builder, kind, unit, better FROM series")
        return dict((row[:2], row[2:]) for row in rows)

    def write(self, writes):
        """Write all of some Writes in one transaction; returns the number of points that a full spool refused."""
        refused, count, size = 0, self.count, self.bytes
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                for point in write.points:
                    more = len(point[0]) + len(point[1]) + OVERHEAD
                    if size + more > self.max_bytes:
                        refused += 1
                    else:
                        new, freed = self._write_point(*point)
                        count, size = count + new, size + more - freed
                self._connection.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?)", list(write.totals.items()))
                self._declare(write.series)
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.count, self.bytes = count, size
        return refused

    def _declare(self, series):
        """Keep declarations; those that are new or changed wait for the server."""
        kept = "SELECT 1 FROM series WHERE name = ? AND builder = ? AND kind = ? AND unit = ? AND better = ?"
        for declaration in series:
            if self._connection.execute(kept, declaration).fetchone() is None:
                self._connection.execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?, 0)", declaration)

    def _write_point(self, key, fields, time):
        """Write a point over one of the same identity; returns the rows and bytes that it adds and replaces."""
        found = self._connection.execute("SELECT length(fields) FROM points WHERE key = ? AND time = ?", (key, time))
        replaced = found.fetchone()
        insert = "INSERT OR REPLACE INTO points (key, time, fields) VALUES (?, ?, ?)"
        self._connection.execute(insert, (key, time, fields))
        return (0, len(key) + replaced[0] + OVERHEAD) if replaced else (1, 0)

    def _roll_back(self):
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error:  # SQLite has rolled back itself
            pass

    def waiting(self, count, max_bytes):
        """The oldest ``count`` lines, with at most ``max_bytes`` characters beyond the first."""
        rows = self._connection.execute("SELECT id, key, fields, time FROM points ORDER BY id LIMIT ?", (count,))
        found, size = [], 0
        for id_, key, fields, time in rows.fetchall():
            line = "%s %s %d" % (key, fields, time)
            size += len(line)
            if found and size > max_bytes:
                break
            found.append(Waiting(id_, line))
        return found

    def remove(self, last, refused=()):
        """Remove the rows up to the id ``last``; ``refused`` are (line, reason) pairs to keep."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            count, size = self._connection.execute(_SIZE + " WHERE id <= ?", (last,)).fetchone()
            self._connection.execute("DELETE FROM points WHERE id <= ?", (last,))
            self._connection.executemany("INSERT INTO refused (line, why) VALUES (?, ?)", refused)
            keep = "DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?"
            self._connection.execute(keep, (MOST_REFUSED,))
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.count, self.bytes = self.count - count, self.bytes - size

    def unsent_series(self):
        """Declarations that the server has yet to receive."""
        rows = self._connection.execute("SELECT name, builder, kind, unit, better FROM series WHERE NOT sent LIMIT 100")
        return rows.fetchall()

    def mark_sent(self, series):
        """Note that the server has the declarations of some series, given as (name, builder)."""
        self._connection.executemany("UPDATE series SET sent = 1 WHERE name = ? AND builder = ?", series)
