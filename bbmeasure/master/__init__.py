"""The part of bbmeasure that lives in a Buildbot master; the only one in this package that imports Buildbot."""
