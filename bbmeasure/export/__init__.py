"""Shipping points from the journal to servers of time series."""
