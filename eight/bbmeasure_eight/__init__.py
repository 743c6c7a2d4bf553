"""bbmeasure-eight: measures what Buildbot Eight (0.8.14, Python 2.7) builds, beside a newer master with bbmeasure."""

__version__ = "0.1.0"

from bbmeasure_eight.builder import MeasuredBuilderConfig
from bbmeasure_eight.capture import captureData
from bbmeasure_eight.reports import (
    getAverage,
    getCount,
    getDeviation,
    getFirst,
    getLast,
    getMaximum,
    getMedian,
    getMinimum,
    getPercentile,
    getSum,
)
from bbmeasure_eight.status import InfluxDBInstance
from bbmeasure_eight.steps import MeasureShellCommand

__all__ = [
    "InfluxDBInstance",
    "MeasureShellCommand",
    "MeasuredBuilderConfig",
    "captureData",
    "getAverage",
    "getCount",
    "getDeviation",
    "getFirst",
    "getLast",
    "getMaximum",
    "getMedian",
    "getMinimum",
    "getPercentile",
    "getSum",
]
