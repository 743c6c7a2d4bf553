"""Reporters: verdicts in the messages of Buildbot's reporters, and as comments on proposals."""
