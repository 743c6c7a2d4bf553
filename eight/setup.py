"""Packaging of bbmeasure-eight; what it is made of is in setup.cfg."""

from setuptools import setup

setup()
