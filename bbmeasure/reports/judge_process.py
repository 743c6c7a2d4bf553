"""The program of the process that judges builds.

Standard input has requests, standard output their answers, each as a frame: its length in four bytes, then a pickle.
Both ends are of one installation and nothing but the master writes to the pipe.  An answer is a :class:`.Judged`, or an
error; many verdicts come before it in frames of their own, so that the master decodes it in short pieces.  The process
ends with its standard input.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, BinaryIO, Optional, Tuple, Union

from bbmeasure.errors import MeasureError
from bbmeasure.reports.build_judge import BuildJudge, Judged, JudgeRequest
from bbmeasure.reports.past import LearnRequest, learn
from bbmeasure.reports.verdicts import LineVerdict
from bbmeasure.storage.verdict_store import JudgingReader

#: The length of a frame.
LENGTH = struct.Struct(">I")
#: Verdicts in one frame: the master decodes them in about half a millisecond.
LINES_PER_FRAME = 50

#: Module, name and argument of a store's reader.
Opener = Tuple[str, str, str]
Request = Union[JudgeRequest, LearnRequest]


@dataclass(frozen=True)
class Lines:
    """Some of the verdicts of an answer."""

    lines: tuple[LineVerdict, ...]


@dataclass(frozen=True)
class Failed:
    """The end of an answer that could not be made."""

    why: str


def frame(message: Any) -> bytes:
    """A message as a frame."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Any:
    """The message of a frame's body."""
    return pickle.loads(body)  # noqa: S301  (the other end is a process of this master)


class Answers:
    """Answers requests about a store, which is opened when needed and again when its file is replaced."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._reader: Optional[JudgingReader] = None

    def _open(self) -> JudgingReader:
        if self._reader is not None and self._reader.is_replaced():
            self.close()
        if self._reader is None:
            module, name, argument = self._opener
            self._reader = getattr(import_module(module), name)(argument)
        return self._reader

    def close(self) -> None:
        """Close the store."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def of(self, request: Request) -> Iterator[Any]:
        """The messages of the answer to a request."""
        try:
            reader = self._open()
            if isinstance(request, LearnRequest):
                yield learn(reader, request)
            else:
                yield from split(BuildJudge(reader).judge(request))
        except MeasureError as error:
            self.close()
            yield Failed(str(error))
        except Exception as error:  # noqa: BLE001  (the master counts it, and the process goes on)
            self.close()
            yield Failed(f"{type(error).__name__}: {error}")


def split(judged: Judged) -> Iterator[Any]:
    """An answer, with its verdicts in messages of their own if they are many."""
    lines = judged.verdicts.lines
    if len(lines) <= LINES_PER_FRAME:
        yield judged
        return
    for at in range(0, len(lines), LINES_PER_FRAME):
        yield Lines(tuple(lines[at : at + LINES_PER_FRAME]))
    yield replace(judged, verdicts=replace(judged.verdicts, lines=()))


def join(lines: list[LineVerdict], judged: Judged) -> Judged:
    """The answer of its messages."""
    return replace(judged, verdicts=replace(judged.verdicts, lines=tuple(lines))) if lines else judged


def _read(stream: BinaryIO) -> Optional[Request]:
    """The next request; None at the end."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    body = stream.read(*LENGTH.unpack(header))
    return decode(body)  # type: ignore[no-any-return]


def serve(answers: Answers, requests: BinaryIO, write: Callable[[bytes], Any]) -> None:
    """Answer requests until there are no more."""
    while (request := _read(requests)) is not None:
        for message in answers.of(request):
            write(frame(message))


def main() -> None:
    """Answer the requests of standard input; the arguments are the store's opener."""
    module, name, argument = sys.argv[-3:]
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing else may write between frames

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[output.write(view) :]

    serve(Answers((module, name, argument)), sys.stdin.buffer, write)


if __name__ == "__main__":
    main()
