"""Spool: decoding, redaction and limits of a text in a temporary file."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bbmeasure.capture.parser_input import HELD_BACK, Spool


@pytest.fixture
def filled() -> Iterator[Callable[..., Spool]]:
    """A function that returns a finished spool of pieces; the spools are closed at the end."""
    spools: list[Spool] = []

    def fill(*pieces: Any, clean: Any = str, **more: Any) -> Spool:
        spools.append(Spool(clean, **more))
        for piece in pieces:
            spools[-1].write(piece)
        spools[-1].finish()
        return spools[-1]

    yield fill
    for spool in spools:
        spool.close()


def test_text_is_complete(filled: Callable[..., Spool]) -> None:
    """The file has the text of all pieces, also of many blocks."""
    pieces = [f"{n} " * 1_000 for n in range(50)]
    spool = filled(*pieces)
    assert spool.read() == "".join(pieces)
    assert spool.size == len("".join(pieces))
    assert os.fstat(spool.fileno()).st_size == spool.size


def test_a_character_across_blocks(filled: Callable[..., Spool]) -> None:
    """A character whose bytes are in two blocks is decoded; invalid bytes are replaced."""
    encoded = "a\u20acb".encode()
    assert filled(encoded[:2], encoded[2:], b"\xff").read() == "a\u20acb\ufffd"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16(encoding: str, filled: Callable[..., Spool]) -> None:
    """A file in UTF-16 with a byte order mark is decoded, also across blocks and with an incomplete end."""
    encoded = "\ufeffa\u20ac\r\n\U0001f600".encode(encoding)
    assert filled(encoded[:5], encoded[5:]).read() == "a\u20ac\r\n\U0001f600"
    assert filled(encoded[:-1]).read() == "a\u20ac\r\n\ufffd"
    assert filled().read() == ""


@pytest.mark.parametrize("before", [0, 1, HELD_BACK - 3, HELD_BACK, 3 * HELD_BACK])
@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_a_secret_across_pieces(before: int, size: int, filled: Callable[..., Spool]) -> None:
    """A secret is redacted wherever a piece of the text ends."""
    text = "x" * before + "hunter2" + "y" * 10_000
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    spool = filled(*pieces, clean=lambda part: part.replace("hunter2", "<password>"))
    assert spool.read() == text.replace("hunter2", "<password>")


def test_limit(filled: Callable[..., Spool]) -> None:
    """What exceeds the limit is dropped and counted."""
    spool = filled("a" * 60, "b" * 60, max_bytes=100)
    assert (spool.size, spool.dropped) == (100, 20)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is an error of the spool, not an exception in whoever writes."""

    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self) -> None:
            pass

    spool = Spool(str)
    monkeypatch.setattr(spool, "_opened", Full)
    spool.write("x")
    spool.finish()
    assert spool.error == "cannot write a temporary file: No space left on device"
