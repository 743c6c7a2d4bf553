"""Hostile outputs, made from recorded ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from tests.tool_output import cases

TEXTS = {
    name: [case.text for case in cases.discover(name) if case.text] for name in {c.adapter for c in cases.discover()}
}
ODD = st.sampled_from(
    ["\0", "\x1b[31m", "\x1b]", "\ud800", "\u2028", "\r", "\n", "\t", "'", '"', "|", "[", "]", "{", "}", "<", ">", "&"]
    + ["&amp;", "&x;", "<!DOCTYPE a [", "<?xml?>", "NaN", "-Infinity", "1e999", "9" * 400, "-1", "²", "null", "true"]
    + [": warning: ", ": error: ", "##teamcity[buildStatisticValue ", "Exit status: 0", "\ufeff", "x" * 3000]
)


def module_of(name: str) -> ModuleType:
    """The module of an adapter, without the guard of :class:`bbmeasure.adapters.Adapter`."""
    return import_module(f"bbmeasure.adapters.{name.replace('-', '_')}")


def check(name: str, text: str) -> list[Record]:
    """Parse ``text`` without the guard; returns the records, none for a ParseError."""
    module = module_of(name)
    if hasattr(module, "issues"):
        _read(name, module.issues, text)
    records: list[Record] = _read(name, module.parse, text)
    assert all(isinstance(record, Record) for record in records)
    return records


def _read(name: str, read: Callable[[str], list[Any]], text: str) -> list[Any]:
    fault = None
    try:
        return read(text)
    except ParseError as error:
        fault = error
    assert fault.tool == name
    assert fault.line >= 0
    assert len(str(fault)) < 1000
    return []


@st.composite
def mutated(draw: Any, name: str) -> str:
    """A recorded output with a few pieces removed, inserted, doubled or moved."""
    text = draw(st.sampled_from(TEXTS[name]))
    for _edit in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 80)))
        put = draw(st.one_of(st.just(""), ODD, st.text(max_size=8), st.just(text[start:end] * 2)))
        text = text[:start] + put + text[end:]
    return text


def keys_of(value: Any) -> Iterator[str]:
    """All keys of a JSON value."""
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


@cache
def documents(name: str) -> list[Any]:
    """The recorded outputs of an adapter that are JSON."""
    found = []
    for text in TEXTS[name]:
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


@cache
def json_like(name: str) -> st.SearchStrategy[Any]:
    """JSON of any structure with the keys of the recorded outputs."""
    keys = sorted({key for document in documents(name) for key in keys_of(document)}) or ["key"]
    numbers = st.one_of(st.floats(), st.integers(), st.just(10**400))
    leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5), st.sampled_from(["error", "note", "ns"]))
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=5)
    )


@st.composite
def replaced(draw: Any, name: str) -> str:
    """A recorded JSON output with a few values replaced."""
    found = documents(name)
    document = json.loads(json.dumps(draw(st.sampled_from(found)))) if found else None
    for _edit in range(draw(st.integers(1, 3))):
        document = _replace(draw, document, draw(json_like(name)))
    return json.dumps(document)


def _replace(draw: Any, value: Any, other: Any) -> Any:
    """``value`` with one of its values replaced by ``other``."""
    at = value
    while isinstance(at, (dict, list)) and at:
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], (dict, list)) or not at[key] or draw(st.integers(0, 3)) == 0:
            at[key] = other
            return value
        at = at[key]
    return other
