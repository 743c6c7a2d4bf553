"""The journal: the embedded store in an SQLite file."""
