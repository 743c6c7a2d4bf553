"""Imports Buildbot's test kit without its filter of warnings, which makes an error of each one that an import gives."""

import warnings

with warnings.catch_warnings():
    import buildbot.test  # noqa: F401
