"""Interfaces of other software, so that its configurations work with bbmeasure."""
