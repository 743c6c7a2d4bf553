"""Export of points from the journal to time series servers."""
