"""Stores of points."""
