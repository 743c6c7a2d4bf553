"""Source of a module of this project, loaded from a folder, a wheel, a zip archive or a bundle."""

from __future__ import annotations

import sys
from typing import Optional


def get_source(name: str) -> str:
    """The source of module ``name`` from its loader; ImportError where it is not available."""
    if name in sys.modules:
        spec = sys.modules[name].__spec__
    else:
        from importlib.util import find_spec  # imported here: it slows the start on a worker, where it is not needed

        spec = find_spec(name)
    reader = getattr(spec.loader, "get_source", None) if spec else None
    source: Optional[str] = reader(name) if reader else None
    if source is None:
        raise ImportError(f"module {name}: expected its source to be available")
    return source
