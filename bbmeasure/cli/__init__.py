"""The ``bbmeasure`` command."""
