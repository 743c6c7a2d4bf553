"""SizeOf: the size of files and folders in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bbmeasure_steps.arguments import check_boolean, check_strings, rendered_strings
from bbmeasure_steps.program import ProgramStep


class SizeOf(ProgramStep):
    """Measures the size of ``path`` in bytes as the series ``name``, and the number of files as ``{name}_files``.

    ``path`` is a file, a folder, a pattern such as ``dist/**/*.whl``, or a list of these; ``exclude`` leaves out names
    or paths.  The size is the apparent one, with ``allocated=True`` that of the blocks on the disk.  Hard links count
    once, and symbolic links are not followed.  Unreadable files are counted and logged.  The step is FAILURE if no file
    is found.
    """

    name = "size"
    program = "size"
    measured_unit = "bytes"
    renderables: Sequence[str] = ("path", "exclude")

    def __init__(self, path: Any = None, *, exclude: Any = (), allocated: bool = False, **kwargs: Any) -> None:
        self.path = check_strings("SizeOf", "path", path, required=True)
        self.exclude = check_strings("SizeOf", "exclude", exclude)
        self.allocated = check_boolean("SizeOf", "allocated", allocated)
        kwargs.setdefault("better", "lower")
        super().__init__(**kwargs)

    def program_arguments(self) -> list[Any]:
        """The command line of the program ``size``."""
        excludes = [f"--exclude={pattern}" for pattern in rendered_strings("exclude", self.exclude or [])]
        allocated = ["--allocated"] if self.allocated else []
        return [f"--name={self.name}", *excludes, *allocated, "--", *rendered_strings("path", self.path or None)]
