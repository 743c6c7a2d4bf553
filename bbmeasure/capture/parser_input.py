"""Spool: a text on its way from a worker to a parser process, in a temporary file."""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Callable
from typing import IO, Optional, Union

#: The largest text that a parser process reads, in bytes.
MAX_BYTES = 64 * 1024 * 1024
#: The end of the text that is held back until more arrives, in characters: a secret may continue in the next piece.
HELD_BACK = 4_096


class Spool:
    """A temporary file without a name, to which at most ``max_bytes`` of UTF-8 are written.

    Bytes or text are decoded and passed through ``clean``, which redacts secrets, piece by piece.  A secret of at most
    HELD_BACK characters is found across pieces.  Bytes are UTF-8, or UTF-16 if they begin with its byte order mark.
    """

    def __init__(self, clean: Callable[[str], str], max_bytes: int = MAX_BYTES) -> None:
        self._clean = clean
        self.max_bytes = max_bytes
        self._decoder: Optional[codecs.IncrementalDecoder] = None
        self._held = ""
        self._file: Optional[IO[bytes]] = None
        #: The length of the text, in bytes.
        self.size = 0
        #: Why the file could not be written, such as a full disk; empty where it was.
        self.error = ""
        #: How many bytes exceeded the limit and were dropped.
        self.dropped = 0

    def write(self, data: Union[bytes, str]) -> None:
        """Add a piece of the text; never raises, see :attr:`error`."""
        text = data if isinstance(data, str) else self._decode(data)
        cleaned = self._clean(self._held + text)
        split = max(0, len(cleaned) - HELD_BACK)
        self._held = cleaned[split:]
        self._append(cleaned[:split])

    def finish(self) -> None:
        """Write what is held back."""
        held, self._held = self._held + self._decode(b"", final=True), ""
        self._append(self._clean(held))
        try:
            self._opened().flush()
        except OSError as error:
            self.error = f"cannot write a temporary file: {error.strerror}"

    def _decode(self, data: bytes, *, final: bool = False) -> str:
        if self._decoder is None and data:
            is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            self._decoder = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8")("replace")
        return "" if self._decoder is None else self._decoder.decode(data, final)

    def fileno(self) -> int:
        """The descriptor of the file, at any position; valid after :meth:`finish`."""
        return self._opened().fileno()

    def read(self) -> str:
        """The whole text; for parsers that run in this process."""
        if self._file is None:
            return ""
        self._file.seek(0)
        return self._file.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, text: str) -> None:
        encoded = text.encode("utf-8", "replace")
        free = max(0, self.max_bytes - self.size)
        self.dropped += max(0, len(encoded) - free)
        if not encoded[:free] or self.error:
            return
        try:
            self._opened().write(encoded[:free])
            self.size += len(encoded[:free])
        except OSError as error:
            self.error = f"cannot write a temporary file: {error.strerror}"

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="bbmeasure-")  # noqa: SIM115  (closed by close())
        return self._file
