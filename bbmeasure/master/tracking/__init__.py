"""Capturing what Buildbot itself knows of a build: times, statistics, properties."""
