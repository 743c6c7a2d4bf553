"""Reads the sidecar file, in which a command reports records, from the worker."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Generator
from typing import Any, Union

from twisted.internet import defer, task

from bbmeasure import wire
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure.wire import Refusal
from bbmeasure_steps import remotefiles
from bbmeasure_steps.stdout import MAX_RECORDS

#: Seconds for which decoding may block the reactor.
MAX_BLOCKING_SECONDS = 0.01

Decoded = list[Union[Record, Refusal]]


def new_token() -> str:
    """A random suffix, so that an earlier build cannot guess the name of the file."""
    return secrets.token_hex(4)


def path_of(step: Any, suffix: str = "") -> str:
    """The path of a new file of a step: beside the build's directory, where no checkout can put a file first."""
    name = f".bbmeasure-{step.build.buildid}-{step.stepid}-{new_token()}{suffix}"
    folder = step.build.getProperty("builddir")
    return str(step.build.path_module.join(folder, name)) if folder else name


@defer.inlineCallbacks
def read(step: Any, path: str) -> Generator[Any, Any, tuple[Decoded, list[str]]]:
    """The records and refusals of the file, and error messages.  Removes the file; never raises."""
    try:
        size = yield remotefiles.size_of(step, path, None)
        if size is None:
            return [], []
        content = yield remotefiles.read_small(step, path, wire.LARGEST_FILE)
    except MeasureError as error:
        return [], [f"sidecar file: {error}"]
    except Exception as error:  # noqa: BLE001  (Buildbot ends the build of a lost worker itself; counted)
        step.pipeline.count("sidecar_errors", f"step {step.name}: {type(error).__name__}: {error}")
        return [], [f"sidecar file: {type(error).__name__}"]
    content = wire.to_utf8(content)
    errors = []
    if size > wire.LARGEST_FILE:
        content = content[: content.rfind(b"\n") + 1]
        errors = [f"sidecar file: {size} bytes, expected at most {wire.LARGEST_FILE}; the rest was not read"]
    cleaned = step.cleaned(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    decoded = yield decode(cleaned, step.master.reactor)
    if len(decoded) > MAX_RECORDS:
        errors.append(f"sidecar file: expected at most {MAX_RECORDS} records of one step; the rest was not read")
    return decoded[:MAX_RECORDS], errors


@defer.inlineCallbacks
def decode(content: bytes, reactor: Any) -> Generator[Any, Any, Decoded]:
    """The records and refusals of the lines, at most one more than a step may have.

    Yields to the reactor every few milliseconds: decoding a megabyte can take a second.
    """
    decoded: Decoded = []
    start = reactor.seconds()
    for item in itertools.islice(wire.read_file(content), MAX_RECORDS + 1):
        decoded.append(item)
        if reactor.seconds() - start > MAX_BLOCKING_SECONDS:
            yield task.deferLater(reactor, 0, lambda: None)
            start = reactor.seconds()
    return decoded
