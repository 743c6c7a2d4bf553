"""Stores: where points are kept and read back."""
