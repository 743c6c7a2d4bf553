"""Checks of the arguments of steps, in their constructors and after rendering."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.util import flatten

from bbmeasure.capture.plan import check_flag
from bbmeasure.errors import MeasureError

#: The longest timeout that a bundled program accepts, in seconds.
LONGEST_TIMEOUT = 2_000_000


def contains_renderable(value: Any) -> bool:
    """Whether ``value`` is a renderable, or a list, tuple or mapping that contains one."""
    if IRenderable.providedBy(value):
        return True
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return any(contains_renderable(item) for item in inner)


def check_strings(step: str, argument: str, value: Any, *, required: bool = False) -> Any:
    """``value`` as a list of strings, a renderable unchanged; a configuration error otherwise."""
    if IRenderable.providedBy(value):
        return value
    items = [value] if isinstance(value, str) else [] if value is None else value
    usable = isinstance(items, Iterable) and not isinstance(items, (bytes, Mapping))
    items = list(items) if usable else []
    valid = all(isinstance(item, str) and item or IRenderable.providedBy(item) for item in items)
    if not usable or not valid or (required and not items):
        config_error(f"{step}: {argument} {value!r}: expected a string or a list of strings")
    return items


def rendered_strings(argument: str, value: Any) -> list[str]:
    """A rendered value as a list of strings; MeasureError where one is None or empty."""
    items = flatten(value, (list, tuple)) if isinstance(value, (list, tuple)) else [value]
    if any(item is None or item == "" for item in items):
        raise MeasureError(f"{argument} {value!r:.200}: expected a string or a list of strings after rendering")
    return [str(item) for item in items]


def check_boolean(step: str, argument: str, value: Any) -> bool:
    """``value`` where it is True or False; a configuration error otherwise."""
    try:
        return check_flag(argument, value)
    except MeasureError as error:
        config_error(f"{step}: {error}")
        return False


def check_keep(step: str, value: Optional[bool]) -> Optional[bool]:
    """``value`` where it is None, True or False; a configuration error otherwise."""
    return None if value is None else check_boolean(step, "keepOnFailure", value)


def check_python(step: str, value: Any) -> Any:
    """``value`` where it is a renderable, an interpreter or a list of it and options; else a configuration error."""
    words = value if isinstance(value, (list, tuple)) else [value]
    if not words or not all(IRenderable.providedBy(word) or (isinstance(word, str) and word) for word in words):
        config_error(
            f"{step}: python {value!r}: expected the name or path of an interpreter, or a list of it and options"
        )
    return value


def check_timeout(step: str, argument: str, value: Optional[float]) -> Optional[float]:
    """``value`` where it is None or a valid number of seconds; a configuration error otherwise."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LONGEST_TIMEOUT:
        config_error(f"{step}: {argument} {value!r}: expected seconds above 0, at most {LONGEST_TIMEOUT}, or None")
        return None
    return value
