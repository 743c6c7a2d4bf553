"""Units, wire, line protocol and identities against vectors that the main distribution makes."""

from __future__ import unicode_literals

import json
import os
import re

import pytest

from bbmeasure_eight import line_protocol, points, units, wire
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.points import BuildContext
from bbmeasure_eight.records import Record

with open(os.environ["BBMEASURE_VECTORS"]) as vectors_file:
    VECTORS = json.load(vectors_file)


def each(name):
    vectors = VECTORS[name]
    assert vectors
    return pytest.mark.parametrize("vector", vectors, ids=[str(number) for number in range(len(vectors))])


def as_dict(item):
    if not isinstance(item, Record):
        return None
    names = ("name", "value", "kind", "unit", "better", "tags")
    return dict([(name, getattr(item, name)) for name in names], samples=list(item.samples))


def outcome(function, *args):
    try:
        return function(*args)
    except MeasureError:
        return None


def test_units_are_the_same():
    assert sorted(units.known()) == VECTORS["units"]


@each("quantities")
def test_quantity(vector):
    quantity = outcome(units.parse, vector["text"])
    assert (quantity and list(quantity)) == vector["expected"]
    assert repr(quantity and quantity.value) == repr(vector["expected"] and vector["expected"][0])


@each("formats")
def test_format(vector):
    assert units.format_value(vector["value"], vector["unit"], vector["kind"]) == vector["expected"]


@each("wire")
def test_wire(vector):
    assert as_dict(outcome(wire.decode, vector["line"])) == vector["expected"]


@each("streams")
def test_stream(vector):
    scanner = wire.MarkerScanner()
    items = [item for piece in vector["pieces"] for item in scanner.feed(piece)] + scanner.finish()
    assert [as_dict(item) for item in items] == vector["expected"]


@each("points")
def test_point(vector):
    given = dict((str(key), value) for key, value in vector["record"].items())
    given["samples"] = tuple(given["samples"])
    given.pop("kind")
    record = Record(**given)
    build = vector["build"] and BuildContext(**dict((str(key), value) for key, value in vector["build"].items()))
    point = points.point_of(record, vector["time"], build, vector["tags"])
    line = outcome(line_protocol.line_of, point)
    found = None
    if line is not None:
        key, fields, time = line
        assert time == vector["time"]
        found = {"key": key, "fields": sorted(re.findall(r'(\w+=(?:"(?:[^"\\]|\\.)*"|[^,]*))', fields, re.DOTALL))}
    assert found == vector["expected"]


@each("identities")
def test_identity(vector):
    time = points.identity_time(
        1700000000.7, vector["master"], vector["builder"], 42, vector["step"], vector["builder"], vector["tags"]
    )
    assert time == vector["expected"]
    assert points.time_offset(vector["master"]) == vector["offset"]


@each("metadata")
def test_metadata(vector):
    assert line_protocol.metadata_line(vector["name"], vector["builder"], "size", "bytes", "lower", 5, "m") == vector["expected"]
