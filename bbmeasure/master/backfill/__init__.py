"""Capturing past builds from a master's database."""
