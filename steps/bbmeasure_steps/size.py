"""SizeOf: how many bytes files, patterns and folders hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bbmeasure_steps.program import KitStep, as_list, flag, texts


class SizeOf(KitStep):
    """Bytes of what ``path`` names, as the series ``name``, and how many files that are, as ``{name}_files``.

    ``path`` is a file, a folder, a pattern such as ``dist/**/*.whl``, or a list of these; ``exclude`` leaves out names
    or paths.  Lengths are apparent ones; ``allocated=True`` takes what the disk gives.  Hard links count once, symbolic
    links are not followed, what cannot be read is counted and said.  Where nothing is found the step is FAILURE.
    """

    name = "size"
    program = "size"
    renderables: Sequence[str] = ("path", "exclude")

    def __init__(self, path: Any = None, *, exclude: Any = (), allocated: bool = False, **kwargs: Any) -> None:
        self.path = texts("SizeOf", "path", path, required=True)
        self.exclude = texts("SizeOf", "exclude", exclude)
        self.allocated = flag("SizeOf", "allocated", allocated)
        kwargs.setdefault("better", "lower")
        super().__init__(**kwargs)

    def arguments(self) -> list[Any]:
        """What the program ``size`` is asked."""
        excludes = [f"--exclude={pattern}" for pattern in as_list("exclude", self.exclude or [])]
        how = ["--allocated"] if self.allocated else []
        return [f"--name={self.name}", *excludes, *how, "--", *as_list("path", self.path or None)]
