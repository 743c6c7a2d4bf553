"""Test kit for measuring steps, parsers and configurations."""

from bbmeasure.testing.kit import TOKEN, BrokenStorage, MeasuringStepMixin, captured_points, sidecar_lines
from bbmeasure.testing.site import Site

__all__ = ["TOKEN", "BrokenStorage", "MeasuringStepMixin", "Site", "captured_points", "sidecar_lines"]
