"""A kit for testing measuring steps, parsers and configurations of one's own."""

from bbmeasure.testing.kit import TOKEN, BrokenStorage, MeasuringStepMixin, captured_points, sidecar_lines
from bbmeasure.testing.site import Site

__all__ = ["TOKEN", "BrokenStorage", "MeasuringStepMixin", "Site", "captured_points", "sidecar_lines"]
