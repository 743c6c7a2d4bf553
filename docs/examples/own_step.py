"""A custom step that counts the requests of a load test, and those that failed."""

from bbmeasure import Record
from bbmeasure_steps import MeasureShellCommand


class LoadTest(MeasureShellCommand):
    """Run a load test that prints one status code per line."""

    def parse(self, text):
        """Return the records of the output; a MeasureError or an empty list makes the step WARNINGS."""
        codes = [line for line in text.split() if line.isdigit()]
        failed = sum(code.startswith("5") for code in codes)
        return [
            Record("requests", len(codes), unit="count"),
            Record("failed_requests", failed, unit="count", better="lower"),
        ]
