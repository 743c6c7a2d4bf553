"""A step of one's own: how many requests a log of a load test has, and how many of them failed."""

from bbmeasure import Record
from bbmeasure_steps import MeasureShellCommand


class LoadTest(MeasureShellCommand):
    """Run a load test that prints a status code a line."""

    def parse(self, text):
        """The records of an output; a MeasureError or an empty list makes the step warn."""
        codes = [line for line in text.split() if line.isdigit()]
        failed = sum(code.startswith("5") for code in codes)
        return [
            Record("requests", len(codes), unit="count"),
            Record("failed_requests", failed, unit="count", better="lower"),
        ]
