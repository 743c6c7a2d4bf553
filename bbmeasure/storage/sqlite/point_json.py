"""Points as JSON objects, in dead letters and in the spool file."""

from __future__ import annotations

import json
from typing import Any

from bbmeasure.model import BuildContext, Point


def encode_point(point: Point) -> str:
    """A point as JSON."""
    build = None if point.build is None else vars(point.build)
    return json.dumps({**vars(point), "tags": dict(point.tags), "build": build}, ensure_ascii=False)


def decode_point(text: str) -> Point:
    """The point of a JSON object; raises ValueError, TypeError or KeyError for another text."""
    fields: dict[str, Any] = json.loads(text)
    build = fields.pop("build")
    return Point(build=BuildContext(**build) if build else None, **fields)
